//! One statement of a release, run on a catalog in the order in which Postgres does: analysis and rewriting, planning,
//! privileges, execution.

use crate::catalog::{Id, RelKind, Relation};
use crate::op::{ExprKind, FromItem, Name, Op, OpKind, QName, Query, QueryBody};

use super::copy;
use super::expr::Binder;
use super::names::{self, Session, UNKNOWN};
use super::outcome::{Bound, Fail, OutColumn, Outcome, Phase};
use super::scope::Scope;
use super::{functions, permissions, row_security};

/// Runs a statement of the application.
pub fn run(s: &Session<'_>, op: &Op) -> Outcome {
    run_in(s, op, &Scope::default(), Vec::new())
}

/// Runs a statement inside a function: `outer` holds its arguments, `entered` the functions that are running already.
pub fn run_in(s: &Session<'_>, op: &Op, outer: &Scope, entered: Vec<Id>) -> Outcome {
    let mut b = Binder::new(s);
    b.entered = entered;
    b.opaque = outer.open;
    let analysed = analyse(&mut b, op, outer);
    let mut out = Outcome {
        relations: std::mem::take(&mut b.relations),
        functions: std::mem::take(&mut b.functions),
        row_types: std::mem::take(&mut b.row_types),
        opaque: b.opaque,
        ..Outcome::default()
    };
    match analysed {
        Err(f) if f.state == UNKNOWN => {
            out.opaque = true;
            return out;
        }
        Err(f) => {
            out.fail = Some((Phase::Analysis, f));
            return out;
        }
        Ok(columns) => out.columns = columns,
    }
    let refused = permissions::check(s, &b.needs).err();
    let first = b.plan.into_iter().next().or(refused).or_else(|| b.run.into_iter().next());
    out.fail = first.filter(|f| f.state != UNKNOWN).map(|f| (Phase::Run, f));
    out.may = b.may;
    out.empty = out.fail.is_none() && reads_whole_rows_in_vain(s, op);
    out
}

fn analyse(b: &mut Binder<'_, '_>, op: &Op, outer: &Scope) -> Bound<Option<Vec<OutColumn>>> {
    let scopes = [outer];
    match &op.kind {
        OpKind::Query(q) => b.query(&scopes, q),
        OpKind::Dml(d) => b.dml(&scopes, d),
        OpKind::Copy { table: Some(table), columns, from, .. } => copy::run(b, table, columns, *from).map(|()| None),
        OpKind::Copy { query: Some(q), .. } => b.query(&scopes, q).map(|_| None),
        OpKind::Truncate { tables, cascade, .. } => truncate(b, tables, *cascade).map(|()| None),
        OpKind::Call { name, args } => {
            let mut typed = Vec::new();
            for a in args {
                typed.push(b.expr(&scopes, a)?);
            }
            functions::resolve(b, name, &typed, true)?;
            Ok(None)
        }
        OpKind::LockTable { tables, .. } => {
            for (t, _) in tables {
                utility_relation(b, t)?;
            }
            Ok(None)
        }
        OpKind::RefreshView { name, .. } => {
            let rel = utility_relation(b, name)?;
            if let Some(rel) = rel.filter(|r| r.kind != RelKind::MaterializedView) {
                return Err(Fail::new(if rel.kind.is_table() { "0A000" } else { "42809" }, rel.name.clone()));
            }
            Ok(None)
        }
        _ => {
            b.opaque = true;
            Ok(None)
        }
    }
}

/// COPY, TRUNCATE and LOCK open a relation by themselves: a missing schema is told apart there.
pub fn utility_relation<'a>(b: &mut Binder<'a, '_>, name: &QName) -> Bound<Option<&'a Relation>> {
    if let Some(schema) = name.schema_str().filter(|s| b.s.no_such_schema(s)) {
        return Err(Fail::new("3F000", schema));
    }
    match b.s.relation(name) {
        Ok(r) => {
            b.relations.push(r.id);
            Ok(Some(r.as_ref()))
        }
        Err(f) if f.state == UNKNOWN || !b.s.cat.complete => {
            b.opaque = true;
            Ok(None)
        }
        Err(f) => Err(f),
    }
}

fn truncate(b: &mut Binder<'_, '_>, tables: &[(QName, bool)], cascade: bool) -> Bound<()> {
    let mut all = Vec::new();
    for (t, _) in tables {
        let Some(rel) = utility_relation(b, t)? else { continue };
        if !rel.kind.is_table() && rel.kind != RelKind::ForeignTable {
            return Err(Fail::new("42809", rel.name.clone()));
        }
        if let Some(role) = b.s.role
            && !permissions::allowed(b.s, rel, role, "TRUNCATE", &Default::default())
        {
            return Err(Fail::new("42501", rel.name.clone()));
        }
        all.push(rel.id);
    }
    if !cascade {
        let mut emptied = all.clone();
        emptied.extend(all.iter().flat_map(|id| b.s.cat.descendants_of(*id)));
        for (user, con) in emptied.iter().flat_map(|id| b.s.cat.foreign_keys_reaching(*id)) {
            if con.enforced && !emptied.contains(&user.id) {
                return Err(Fail::new("0A000", user.name.clone()));
            }
        }
    }
    Ok(())
}

/// A plain read of whole rows of one table of which row security shows none. Queries that filter or compute may well
/// return nothing in normal times, so nothing is said of them.
fn reads_whole_rows_in_vain(s: &Session<'_>, op: &Op) -> bool {
    let OpKind::Query(q) = &op.kind else { return false };
    let Some((table, columns)) = whole_rows(q) else { return false };
    let Ok(rel) = s.relation(table) else { return false };
    if !names::is_table_like(rel.kind) || !row_security::hides_all(s, rel) {
        return false;
    }
    let all = s.before.and_then(|b| b.relations.get(&rel.id)).unwrap_or(rel);
    columns.is_none_or(|c| all.columns.iter().all(|x| c.iter().any(|n| n.value == x.name)))
}

/// The table, and the columns where they are named.
fn whole_rows(q: &Query) -> Option<(&QName, Option<Vec<&Name>>)> {
    match &q.body {
        QueryBody::Table(t) => Some((t, None)),
        QueryBody::Select(s) if s.filter.is_none() && s.group_by.is_empty() && q.ctes.is_empty() => {
            let [FromItem::Table { name, .. }] = s.from.as_slice() else { return None };
            let mut columns = Vec::new();
            for t in &s.targets {
                match &t.expr.kind {
                    ExprKind::Star(_) => return Some((name, None)),
                    ExprKind::Column(p) => columns.extend(p.last()),
                    _ => return None,
                }
            }
            Some((name, Some(columns)))
        }
        _ => None,
    }
}
