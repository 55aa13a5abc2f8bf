//! Facts about types of columns, and about tables as collections of columns.

use crate::catalog::TypeKind;
use crate::op::{AlterAction, ColumnDef, ConstraintKind, CreateTable, Op, OpKind, Options, QName};

use super::collect::Place;
use super::{Facts, Value};

/// One set of facts (`op = "column"`) for each column that is defined, or whose type changes.
pub fn columns(place: &Place<'_>, op: &Op) -> Vec<Facts> {
    let one = |table: &QName, c: &ColumnDef, keys: &[&str]| {
        let mut f = place.facts("column", c.span);
        place.table(&mut f, table);
        place.column(&mut f, c);
        describe(place, &mut f, &c.ty);
        let inline = |k: fn(&ConstraintKind) -> bool| c.constraints.iter().any(|x| k(&x.kind));
        f.flag("column.primary_key", keys.contains(&c.name.as_str()) || inline(|k| matches!(k, ConstraintKind::PrimaryKey { .. })));
        f.flag("column.references", inline(|k| matches!(k, ConstraintKind::ForeignKey(_))));
        f.flag("generated.implicit", c.generated.as_ref().is_some_and(|g| g.implicit));
        if let Some(collation) = &c.collation {
            f.text("collation", collation.to_string());
        }
        f
    };
    match &op.kind {
        OpKind::CreateTable(t) if !already(place, t) => {
            let keys: Vec<&str> = t
                .constraints
                .iter()
                .filter_map(|c| match &c.kind {
                    ConstraintKind::PrimaryKey { columns, .. } => Some(columns.iter().map(|c| c.as_str())),
                    _ => None,
                })
                .flatten()
                .collect();
            t.columns.iter().map(|c| one(&t.name, c, &keys)).collect()
        }
        OpKind::Alter { target, action: AlterAction::AddColumn { column, .. } } => vec![one(&target.name, column, &[])],
        OpKind::Alter { target, action: AlterAction::SetType { column, ty, collation, .. } } => {
            let mut f = place.facts("column", ty.span);
            place.table(&mut f, &target.name);
            f.text("column", column.as_str());
            describe(place, &mut f, ty);
            if let Some(c) = place.relation(&target.name).and_then(|r| r.column(column.as_str())) {
                f.flag("column.not_null", c.not_null);
                f.flag("column.filled", c.default.is_some() || c.identity.is_some() || c.generated.is_some());
            }
            if let Some(collation) = collation {
                f.text("collation", collation.to_string());
            }
            vec![f]
        }
        _ => Vec::new(),
    }
}

fn already(place: &Place<'_>, t: &CreateTable) -> bool {
    t.if_not_exists && place.r.before.relation_by(&t.name).is_some()
}

fn describe(place: &Place<'_>, f: &mut Facts, ty: &crate::op::TypeName) {
    let serial = ty.name.schema.is_none() && ty.name.as_str().ends_with("serial");
    let resolved = place.r.before.resolve_type(ty);
    f.text("type.new", ty.text.as_str());
    f.text("type.base", if serial { ty.name.as_str().to_string() } else { resolved.name.clone() });
    f.flag("type.array", ty.array_dims > 0);
    if let Some(n) = ty.modifiers.iter().find_map(|m| m.trim().parse().ok()) {
        f.set("type.length", Value::Number(n));
    }
    let kind = resolved.id.and_then(|id| place.r.before.types.get(&id)).map(|t| match t.kind {
        TypeKind::Enum { .. } => "enum",
        TypeKind::Domain { .. } => "domain",
        TypeKind::Composite { .. } => "composite",
        TypeKind::Range => "range",
        TypeKind::Other => "other",
    });
    if let Some(kind) = kind {
        f.text("type.kind", kind);
    }
}

pub fn about(place: &Place<'_>, f: &mut Facts, op: &Op) {
    match &op.kind {
        OpKind::CreateTable(t) if !already(place, t) => {
            let rel = place.relation(&t.name);
            let names: Vec<String> = match rel {
                Some(r) => r.columns.iter().map(|c| c.name.clone()).collect(),
                None => t.columns.iter().map(|c| c.name.value.clone()).collect(),
            };
            f.set("table.columns", Value::Number(names.len() as i64));
            f.set("table.column_names", Value::List(names));
            f.set("table.padding", Value::Number(padding(t)));
            let says = |key: &String| {
                let mut parts = key.splitn(2, ' ');
                let name = parts.nth(1).unwrap_or_default();
                key.starts_with("TABLE ") && rel.is_some_and(|r| name == r.name || name == r.rel_name().to_string())
            };
            f.flag("table.commented", place.script.after.comments.iter().any(|(k, _)| says(k)));
            autovacuum(f, &t.options);
        }
        OpKind::Alter { target, action } => match action {
            AlterAction::AddColumn { .. } => {
                if let Some(r) = place.r.after.relation_by(&target.name) {
                    f.set("table.columns", Value::Number(r.columns.len() as i64));
                }
            }
            AlterAction::SetOptions { options } => autovacuum(f, options),
            _ => {}
        },
        OpKind::CreateDomain { name, not_null, checks, .. } => {
            f.text("object", name.to_string());
            f.object = name.to_string();
            f.flag("domain.constrained", *not_null || !checks.is_empty());
        }
        OpKind::CreateEnum { name, .. } => {
            f.text("object", name.to_string());
            f.object = name.to_string();
        }
        OpKind::AddEnumValue { before, after, .. } => f.flag("enum.placed", before.is_some() || after.is_some()),
        _ => {}
    }
}

fn autovacuum(f: &mut Facts, options: &Options) {
    let off = |v: &Option<String>| {
        v.as_deref().is_some_and(|v| matches!(v.trim_matches('\'').to_ascii_lowercase().as_str(), "false" | "off" | "no" | "0"))
    };
    f.flag("autovacuum_off", options.iter().any(|(k, v)| k == "autovacuum_enabled" && off(v)));
}

/// Bytes of each row that are lost between the fixed-width columns before the first one of variable width, as they are ordered.
fn padding(t: &CreateTable) -> i64 {
    let mut at = 0;
    let mut lost = 0;
    for c in &t.columns {
        // (width, alignment), `pg_type.typlen` and `typalign`.
        let (width, align) = match (c.ty.name.as_str(), c.ty.array_dims) {
            ("boolean", 0) => (1, 1),
            ("smallint" | "smallserial", 0) => (2, 2),
            ("integer" | "serial" | "real" | "date", 0) => (4, 4),
            ("uuid", 0) => (16, 1),
            ("interval", 0) => (16, 8),
            (
                "bigint"
                | "bigserial"
                | "double precision"
                | "timestamp with time zone"
                | "timestamp without time zone"
                | "money"
                | "time without time zone",
                0,
            ) => (8, 8),
            _ => break,
        };
        let gap = (align - at % align) % align;
        lost += gap;
        at += gap + width;
    }
    lost
}
