//! When a column's change rewrites its table, and what proves that it holds no NULL.

use crate::catalog::{Catalog, ColumnType, TypeKind};
use crate::op::{ColumnDef, Expr, ExprKind, PgVersion, Volatility};

/// A new column whose value differs from row to row, or is checked by a domain, is written into every row.
pub fn add_rewrites(catalog: &Catalog, column: &ColumnDef, pg: PgVersion) -> bool {
    if column.identity.is_some() || column.ty.name.as_str().ends_with("serial") && column.ty.name.schema.is_none() {
        return true;
    }
    if let Some(g) = &column.generated {
        return g.stored || g.implicit && pg.0 < 18;
    }
    let ty = catalog.resolve_type(&column.ty);
    if is_constrained_domain(catalog, &ty) {
        return true;
    }
    default_value(catalog, column).is_some_and(|d| catalog.volatility(&d) == Volatility::Volatile)
}

/// The default of a new column: its own, or that of its domain.
pub fn default_value(catalog: &Catalog, column: &ColumnDef) -> Option<Expr> {
    let own = column.default.clone();
    let of_domain = || {
        let ty = catalog.resolve_type(&column.ty);
        let mut id = ty.id.filter(|_| !ty.is_array());
        for _ in 0..16 {
            let TypeKind::Domain { base, default, .. } = &catalog.types.get(&id?)?.kind else { return None };
            if let Some(d) = default {
                return Some(d.clone());
            }
            id = base.id.filter(|_| !base.is_array());
        }
        None
    };
    own.or_else(of_domain)
}

/// A domain with a constraint of its own, or over such a domain. What an array holds is not asked.
pub fn is_constrained_domain(catalog: &Catalog, ty: &ColumnType) -> bool {
    let mut id = ty.id.filter(|_| !ty.is_array());
    for _ in 0..16 {
        let Some(t) = id.and_then(|i| catalog.types.get(&i)) else { return false };
        let TypeKind::Domain { base, not_null, checks, .. } = &t.kind else { return false };
        if *not_null || !checks.is_empty() {
            return true;
        }
        id = base.id.filter(|_| !base.is_array());
    }
    false
}

/// What a change of type costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "kebab-case")]
pub enum TypeChange {
    /// The catalog only.
    Free,
    /// The catalog only, but indexes on the column sort by other rules now.
    Reindex,
    Rewrite,
}

/// `ALTER COLUMN … TYPE`: rewritten unless old values are valid new values bit by bit (`ATColumnChangeRequiresRewrite`).
pub fn type_change(catalog: &Catalog, old: &ColumnType, new: &ColumnType, using: Option<&Expr>, column: &str) -> TypeChange {
    // USING the column itself, cast or not, is the same as no USING.
    if let Some(e) = using
        && !is_column(strip_casts(e), column)
    {
        return TypeChange::Rewrite;
    }
    if old == new {
        return TypeChange::Free;
    }
    if is_constrained_domain(catalog, new) {
        return TypeChange::Rewrite;
    }
    // Elements of a domain are taken out of it one by one, and put into it.
    let own = |t: &ColumnType| {
        t.is_array() && t.id.and_then(|i| catalog.types.get(&i)).is_some_and(|t| matches!(t.kind, TypeKind::Domain { .. }))
    };
    if (own(old) || own(new)) && old.id != new.id {
        return TypeChange::Rewrite;
    }
    let from_domain =
        !old.is_array() && old.id.and_then(|i| catalog.types.get(&i)).is_some_and(|t| matches!(t.kind, TypeKind::Domain { .. }));
    let (mut old, new) = (base_type(catalog, old), base_type(catalog, new));
    if from_domain {
        // The length that a domain gives its values is not known to the cast that takes them out of it.
        old.modifiers.clear();
    }
    if old.array_dims.min(1) != new.array_dims.min(1) {
        return TypeChange::Rewrite;
    }
    if old.name == new.name {
        if old.array_dims > 0 && old.modifiers != new.modifiers && !new.modifiers.is_empty() {
            return TypeChange::Rewrite;
        }
        return if modifiers_widen(&old, &new) { TypeChange::Free } else { TypeChange::Rewrite };
    }
    // Arrays are converted element by element, even where an element would be left as it is.
    if old.array_dims > 0 {
        return TypeChange::Rewrite;
    }
    let citext = |t: &ColumnType| t.name == "citext" || t.name.ends_with(".citext");
    match (old.name.as_str(), new.name.as_str()) {
        ("character varying", "text") => TypeChange::Free,
        ("text", "character varying") if new.modifiers.is_empty() => TypeChange::Free,
        ("cidr", "inet") => TypeChange::Free,
        ("xml", "text") => TypeChange::Free,
        ("text" | "character varying", _) if citext(&new) => TypeChange::Reindex,
        (_, "text") if citext(&old) => TypeChange::Reindex,
        (_, "character varying") if citext(&old) && new.modifiers.is_empty() => TypeChange::Reindex,
        ("timestamp without time zone", "timestamp with time zone") | ("timestamp with time zone", "timestamp without time zone") => {
            // Since 12, while the session's time zone is UTC.
            if session_is_utc(catalog) && precision_widens(&old, &new) { TypeChange::Reindex } else { TypeChange::Rewrite }
        }
        _ => TypeChange::Rewrite,
    }
}

/// Whether the session's time zone is known to be UTC: the script sets it, or `timezone` under `[settings]` in `airlock.toml` does. What
/// the server does by itself is not known here.
fn session_is_utc(catalog: &Catalog) -> bool {
    let utc =
        |zone: &str| matches!(zone.to_ascii_lowercase().as_str(), "utc" | "gmt" | "etc/utc" | "etc/gmt" | "uct" | "zulu" | "utc0" | "0");
    catalog.settings.get("timezone").is_some_and(|s| utc(s.value.trim_matches('\'')))
}

fn base_type(catalog: &Catalog, ty: &ColumnType) -> ColumnType {
    let mut ty = ty.clone();
    for _ in 0..16 {
        let Some(TypeKind::Domain { base, .. }) = ty.id.and_then(|i| catalog.types.get(&i)).map(|t| &t.kind) else { break };
        let dims = ty.array_dims;
        ty = base.clone();
        ty.array_dims += dims;
    }
    ty
}

fn numbers(ty: &ColumnType) -> Vec<i64> {
    ty.modifiers.iter().filter_map(|m| m.trim().parse().ok()).collect()
}

fn precision_widens(old: &ColumnType, new: &ColumnType) -> bool {
    match (numbers(old).last(), numbers(new).last()) {
        (_, None) => true,
        (None, Some(n)) => *n >= 6,
        (Some(o), Some(n)) => n >= o,
    }
}

/// The same type with modifiers that take every old value as it is.
fn modifiers_widen(old: &ColumnType, new: &ColumnType) -> bool {
    if old.modifiers == new.modifiers {
        return true;
    }
    let (o, n) = (numbers(old), numbers(new));
    match new.name.as_str() {
        "character varying" | "bit varying" => n.first().is_none_or(|n| o.first().is_some_and(|o| n >= o)),
        "numeric" => match (o.as_slice(), n.as_slice()) {
            (_, []) => true,
            ([op, os @ ..], [np, ns @ ..]) => {
                let scale = |s: &[i64]| s.first().copied().unwrap_or(0);
                np >= op && scale(ns) == scale(os)
            }
            _ => false,
        },
        n if n.starts_with("timestamp") || n.starts_with("time ") => precision_widens(old, new),
        "interval" => {
            let fields = |t: &ColumnType| t.modifiers.iter().any(|m| m.trim().parse::<i64>().is_err());
            !fields(new) && precision_widens(old, new)
                || fields(old) && fields(new) && old.modifiers.first() == new.modifiers.first() && precision_widens(old, new)
        }
        // `char(n)` is padded: every change of it is written.
        _ => false,
    }
}

fn strip_casts(e: &Expr) -> &Expr {
    match &e.kind {
        ExprKind::Cast { expr, .. } => strip_casts(expr),
        _ => e,
    }
}

fn is_column(e: &Expr, column: &str) -> bool {
    matches!(&e.kind, ExprKind::Column(parts) if parts.last().is_some_and(|p| p.value == column))
}
