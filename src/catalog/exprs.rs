//! What an expression names: columns, functions, sequences, types.

use crate::op::{Call, Expr, ExprKind, Name, QName};
use crate::source::Span;

use super::apply::{Res, fails};
use super::{Catalog, Id, RelKind, Relation};

impl Catalog {
    /// The functions of the history that a call may mean, by name and number of arguments.
    pub fn candidates(&self, c: &Call) -> Vec<Id> {
        let mut ids = self.functions_named(&c.name);
        ids.retain(|id| {
            self.functions.get(id).is_some_and(|f| {
                let n = f.arg_types.len();
                let least = n.saturating_sub(f.defaults + usize::from(f.variadic));
                c.args.len() >= least && (c.args.len() <= n || f.variadic)
            })
        });
        ids
    }

    /// Functions, sequences and types of the catalog that the expression names.
    pub(super) fn uses_of(&self, e: &Expr) -> Vec<Id> {
        let mut out = Vec::new();
        e.walk(&mut |e| self.use_here(e, &mut out));
        out.sort_unstable();
        out.dedup();
        out
    }

    pub(super) fn use_here(&self, e: &Expr, out: &mut Vec<Id>) {
        match &e.kind {
            ExprKind::Call(c) => {
                out.extend(self.candidates(c).first());
                if matches!(c.name.as_str(), "nextval" | "currval" | "setval") {
                    out.extend(c.args.first().and_then(|a| self.sequence_literal(a)));
                }
            }
            ExprKind::Cast { ty, .. } => out.extend(self.resolve_type(ty).id),
            _ => {}
        }
    }

    /// `'schema.seq'` and `'seq'::regclass`.
    pub(super) fn sequence_literal(&self, e: &Expr) -> Option<Id> {
        let id = self.resolve(&relation_literal(e)?)?;
        (self.relations.get(&id)?.kind == RelKind::Sequence).then_some(id)
    }

    /// The columns of the table that the expression reads, in the order of their appearance.
    pub(super) fn columns_in(&self, e: &Expr, rel: &Relation) -> Res<Vec<String>> {
        let mut out: Vec<String> = Vec::new();
        let mut missing = None;
        walk_outside_subqueries(e, &mut |e| {
            let (ExprKind::Column(parts) | ExprKind::Star(parts)) = &e.kind else { return };
            if let Some(found) = column_of(parts, rel) {
                if let Some(name) = found
                    && !out.iter().any(|o| o == name)
                {
                    out.push(name.to_string());
                }
            } else if missing.is_none() {
                missing = parts.last().map(|n| n.value.clone());
            }
        });
        match missing {
            Some(name) if !rel.assumed => Err(fails("42703", format!("column \"{name}\" does not exist"))),
            _ => Ok(out),
        }
    }
}

/// The name in `'schema.name'` and `'name'::regclass`.
pub(super) fn relation_literal(e: &Expr) -> Option<QName> {
    match &e.kind {
        ExprKind::String(s) => parse_name(s),
        ExprKind::Cast { expr, ty } if ty.name.as_str() == "regclass" => relation_literal(expr),
        _ => None,
    }
}

/// `Some(None)`: the whole row. `None`: no such column.
fn column_of<'a>(parts: &'a [Name], rel: &Relation) -> Option<Option<&'a str>> {
    const SYSTEM: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];
    let (first, last) = (parts.first()?, parts.last()?);
    for part in [last, first] {
        if rel.column(part.as_str()).is_some() {
            return Some(Some(part.as_str()));
        }
    }
    // `t` and `t.*` are the whole row; `s.t.a` has its column last and was found above.
    (first.as_str() == rel.name || parts.len() == 1 && SYSTEM.contains(&last.as_str()))
        .then_some(None)
        .filter(|_: &Option<&str>| parts.len() == 1 || SYSTEM.contains(&last.as_str()) || last.as_str() == rel.name)
}

/// Like `Expr::walk`, but a subquery's own names are not the table's.
pub(super) fn walk_outside_subqueries<'a>(e: &'a Expr, f: &mut dyn FnMut(&'a Expr)) {
    match &e.kind {
        ExprKind::Subquery(_) => f(e),
        ExprKind::Call(c) => {
            f(e);
            c.args.iter().for_each(|a| walk_outside_subqueries(a, f));
        }
        ExprKind::Cast { expr, .. } | ExprKind::Unary { expr, .. } | ExprKind::IsNull { expr, .. } | ExprKind::Collate { expr, .. } => {
            f(e);
            walk_outside_subqueries(expr, f);
        }
        ExprKind::Binary { left, right, .. } => {
            f(e);
            walk_outside_subqueries(left, f);
            walk_outside_subqueries(right, f);
        }
        ExprKind::Array(v) | ExprKind::Row(v) | ExprKind::Case(v) | ExprKind::Other(v) => {
            f(e);
            v.iter().for_each(|a| walk_outside_subqueries(a, f));
        }
        _ => f(e),
    }
}

pub(super) fn has_subquery(e: &Expr) -> bool {
    let mut found = false;
    e.walk(&mut |e| found |= matches!(e.kind, ExprKind::Subquery(_)));
    found
}

pub(super) fn has_column(e: &Expr) -> bool {
    let mut found = false;
    e.walk(&mut |e| found |= matches!(e.kind, ExprKind::Column(_) | ExprKind::Star(_)));
    found
}

/// Reads `schema.name` as a string holds it, folded where it is not quoted.
pub(super) fn parse_name(s: &str) -> Option<QName> {
    let mut parts: Vec<String> = Vec::new();
    let mut chars = s.trim().chars().peekable();
    loop {
        let mut part = String::new();
        if chars.peek() == Some(&'"') {
            chars.next();
            loop {
                match chars.next()? {
                    '"' if chars.peek() == Some(&'"') => part.push(chars.next()?),
                    '"' => break,
                    c => part.push(c),
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| *c != '.') {
                part.extend(c.to_lowercase());
            }
        }
        parts.push(part);
        match chars.next() {
            None => break,
            Some('.') => {}
            Some(_) => return None,
        }
    }
    let name = Name::new(parts.pop().filter(|p| !p.is_empty())?, Span::default());
    Some(QName { schema: parts.pop().map(|s| Name::new(s, Span::default())), name })
}
