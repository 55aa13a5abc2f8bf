//! The columns that expressions name: what dependencies and broken statements are told from, so none may be missed or made up.

use airlock::op::{
    AlterAction, ColumnDef, ConstraintKind, DomainAction, DomainConstraintKind, Expr, ExprKind, IndexElement, OpKind, Query,
    TableConstraint,
};
use serde_json::Value;

use crate::judge::Outcome;
use crate::tree;

/// `a.b` for every column of a query, sorted.
pub fn of_query(words: &str, query: &Query) -> Outcome {
    let Some(theirs) = tree::parse(words).ok().and_then(|mut p| p.pop()) else { return Outcome::default() };
    let mut ours = Vec::new();
    query.walk_exprs(&mut |e| column(e, &mut ours));
    compare(&theirs.tree, ours, words)
}

/// The same for expressions that definitions hold.
pub fn of_definition(kind: &OpKind) -> Outcome {
    let mut out = Outcome::default();
    for e in definitions(kind) {
        let words = format!("SELECT ({})", e.text);
        let Some(theirs) = tree::parse(&words).ok().and_then(|mut p| p.pop()) else { continue };
        let mut ours = Vec::new();
        e.walk(&mut |e| column(e, &mut ours));
        out.add(compare(&theirs.tree, ours, &e.text));
    }
    out
}

fn column(e: &Expr, out: &mut Vec<String>) {
    if let ExprKind::Column(parts) = &e.kind {
        out.push(parts.iter().map(|p| p.as_str()).collect::<Vec<_>>().join("."));
    }
}

fn compare(theirs: &Value, mut ours: Vec<String>, words: &str) -> Outcome {
    let mut names = Vec::new();
    columns(theirs, &mut names);
    names.sort();
    ours.sort();
    if names == ours {
        return Outcome::default();
    }
    let beyond = |a: &[String], b: &[String]| {
        let mut b = b.to_vec();
        a.iter().filter(|x| b.iter().position(|y| y == *x).map(|i| b.remove(i)).is_none()).cloned().collect::<Vec<_>>()
    };
    let (missed, made_up) = (beyond(&names, &ours), beyond(&ours, &names));
    let what = match (missed.is_empty(), made_up.is_empty()) {
        (false, true) => "columns are missed",
        (true, false) => "columns are made up",
        _ => "columns are missed and made up",
    };
    Outcome::failed(what.into(), format!("missed {missed:?}, made up {made_up:?}: {}", crate::judge::shorten(words)))
}

fn columns(v: &Value, out: &mut Vec<String>) {
    match v {
        Value::Array(list) => list.iter().for_each(|v| columns(v, out)),
        Value::Object(o) => {
            if let Some(Value::Array(fields)) = o.get("ColumnRef").and_then(|c| c.get("fields")) {
                let names: Option<Vec<&str>> = fields.iter().map(tree::text_of).collect();
                out.extend(names.map(|n| n.join(".")));
            }
            o.values().for_each(|v| columns(v, out));
        }
        _ => {}
    }
}

fn definitions(kind: &OpKind) -> Vec<&Expr> {
    let mut out = Vec::new();
    match kind {
        OpKind::CreateTable(t) => {
            t.columns.iter().for_each(|c| of_column(c, &mut out));
            t.constraints.iter().for_each(|k| of_constraint(k, &mut out));
            out.extend(t.partition_by.iter().flat_map(|p| &p.keys));
        }
        OpKind::Alter { action, .. } => match action {
            AlterAction::AddColumn { column, .. } => of_column(column, &mut out),
            AlterAction::SetDefault { expr, .. } | AlterAction::SetExpression { expr, .. } => out.push(expr),
            AlterAction::SetType { using, .. } => out.extend(using),
            AlterAction::AddConstraint(k) => of_constraint(k, &mut out),
            _ => {}
        },
        OpKind::CreateIndex(i) => {
            out.extend(i.elements.iter().map(|e| &e.expr));
            out.extend(&i.filter);
        }
        OpKind::CreateDomain { default, checks, .. } => {
            out.extend(default);
            out.extend(checks.iter().map(|(_, e)| e));
        }
        OpKind::AlterDomain { action, .. } => match action {
            DomainAction::SetDefault(e) | DomainAction::AddConstraint { kind: DomainConstraintKind::Check(e), .. } => out.push(e),
            _ => {}
        },
        OpKind::CreateFunction(f) => out.extend(f.args.iter().filter_map(|a| a.default.as_ref())),
        OpKind::CreateTrigger(t) => out.extend(&t.when),
        OpKind::CreatePolicy(p) => out.extend(p.using.iter().chain(&p.with_check)),
        OpKind::AlterPolicy { using, with_check, .. } => out.extend(using.iter().chain(with_check)),
        OpKind::CreateStatistics { exprs, .. } => out.extend(exprs),
        OpKind::Dml(d) => out.extend(&d.filter),
        OpKind::Call { args, .. } => out.extend(args),
        _ => {}
    }
    out
}

fn of_column<'a>(c: &'a ColumnDef, out: &mut Vec<&'a Expr>) {
    out.extend(&c.default);
    out.extend(c.generated.as_ref().map(|g| &g.expr));
    c.constraints.iter().for_each(|k| of_constraint(k, out));
}

fn of_constraint<'a>(k: &'a TableConstraint, out: &mut Vec<&'a Expr>) {
    match &k.kind {
        ConstraintKind::Check { expr } => out.push(expr),
        ConstraintKind::Exclude { elements, filter, .. } => {
            out.extend(elements.iter().map(|(IndexElement { expr, .. }, _)| expr));
            out.extend(filter);
        }
        _ => {}
    }
}
