//! Views: what a reader of the old one misses in the new one.

use crate::catalog::{RelKind, Relation};
use crate::op::{CreateView, ExprKind, OpKind, Query, QueryBody};

use super::here::Here;
use super::{Facts, Value};

pub(super) fn add(f: &mut Facts, h: &Here<'_>) {
    match &h.op.kind {
        OpKind::CreateView(v) => view(f, h, v),
        OpKind::Dml(d) => {
            if let crate::op::DmlKind::Insert { source: crate::op::InsertSource::Query(q), .. } = &d.kind {
                f.flag("select_star", has_star(q));
            }
        }
        OpKind::CreateTableAs(t) => f.flag("select_star", has_star(&t.query)),
        _ => {}
    }
}

fn view(f: &mut Facts, h: &Here<'_>, v: &CreateView) {
    f.flag("select_star", has_star(&v.query));
    f.flag("view.materialized", v.materialized);
    let on = |(k, value): &(String, Option<String>)| {
        k == "security_invoker"
            && value.as_deref().is_none_or(|v| !matches!(v.trim_matches('\'').to_lowercase().as_str(), "false" | "off" | "0" | "no"))
    };
    let Some(new) = h.r.after.relation_by(&v.name) else { return };
    f.flag("view.security_invoker", new.options.iter().any(on) || v.options.iter().any(on));
    let guarded: Vec<String> = new
        .view
        .iter()
        .flat_map(|x| &x.depends)
        .filter_map(|(id, _)| h.script.after.relation(*id))
        .filter(|r| r.row_security)
        .map(|r| r.name.clone())
        .collect();
    f.set("view.reads_guarded", Value::List(guarded));
    let Some(old) =
        h.script.before.relation_named(&new.schema, &new.name).filter(|r| matches!(r.kind, RelKind::View | RelKind::MaterializedView))
    else {
        return;
    };
    f.set("view.lost", Value::List(lost(old, new)));
}

/// Columns of the old view that are gone or have another type.
fn lost(old: &Relation, new: &Relation) -> Vec<String> {
    if old.assumed || new.assumed || old.columns.is_empty() || new.columns.is_empty() {
        return Vec::new();
    }
    let mut out = Vec::new();
    for c in &old.columns {
        match new.column(&c.name) {
            None => out.push(format!("{} is gone", c.name)),
            Some(n) => {
                let (was, is) = (c.ty.to_string(), n.ty.to_string());
                if was != is && was != "unknown" && is != "unknown" {
                    out.push(format!("{} becomes {is}", c.name));
                }
            }
        }
    }
    out
}

fn has_star(q: &Query) -> bool {
    match &q.body {
        QueryBody::Select(s) => s.targets.iter().any(|t| matches!(t.expr.kind, ExprKind::Star(_))),
        QueryBody::SetOp(l, r) => has_star(l) || has_star(r),
        QueryBody::Table(_) => true,
        _ => false,
    }
}
