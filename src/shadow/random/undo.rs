//! The way back of a change, run on the server right after it and after release N has written: is it as passable as was said?

use std::collections::BTreeMap;

use fastrand::Rng;
use imbl::ordmap::DiffItem;

use crate::catalog::{Catalog, ColumnType, Id, RelKind, Relation};
use crate::compat::{self, Shape, Undo};
use crate::op::{AlterAction, ExprKind, ObjectKind, Op, OpKind};
use crate::plan::{reverse, type_sql};
use crate::quote::{ident, qualified};
use crate::replay::Replayed;

use super::super::session::{Session, SqlError};
use super::pick::Gen;

/// More tables than these are not looked at around one change.
const MOST: usize = 6;

/// The values of each column of each table, sorted.
type Data = BTreeMap<(Id, u16), Vec<String>>;

pub struct WayBack {
    sql: Vec<String>,
    tables: Vec<Id>,
    there: Data,
}

/// What was found.
#[derive(Default)]
pub struct Found {
    pub differ: Vec<String>,
    /// The way back was better than what was said: that depends on the rows.
    pub better: usize,
}

impl WayBack {
    /// `None`: no way back is known. Reads what the tables hold before the change.
    pub fn before(session: &mut Session, judged: &Replayed) -> Option<WayBack> {
        let mut ops = judged.statement.ops.iter().filter(|o| !o.nested);
        let (Some(op), None) = (ops.next(), ops.next()) else { return None };
        let sql = way(op, &judged.before, &judged.after)?;
        let mut tables = Vec::new();
        for item in judged.before.relations.diff(&judged.after.relations) {
            let (DiffItem::Add(id, r) | DiffItem::Remove(id, r) | DiffItem::Update { new: (id, r), .. }) = item;
            if matches!(r.kind, RelKind::Table | RelKind::PartitionedTable) {
                tables.push(*id);
            }
        }
        tables.truncate(MOST);
        let there = read(session, &judged.before, &tables, None);
        Some(WayBack { sql, tables, there })
    }

    /// Goes the way back twice and takes both back.
    pub fn after(&self, session: &mut Session, judged: &Replayed, rng: &mut Rng, next: &mut u32) -> Found {
        let mut found = Found::default();
        let said = (judged.compat.undo_now, judged.compat.undo);
        let _ = session.run("BEGIN");
        let now = self.go(session, judged, &self.there, None);
        let _ = session.run("ROLLBACK");
        found.note("right after the change", said.0, now, &self.sql);

        let _ = session.run("BEGIN");
        // What is put off would speak only at the end.
        let _ = session.run("SET CONSTRAINTS ALL IMMEDIATE");
        self.write(session, &judged.after, rng, next);
        let mut written = read(session, &judged.after, &self.tables, None);
        if let Some(OpKind::RenameEnumValue { from, to, .. }) = judged.statement.ops.first().map(|o| &o.kind) {
            // The label is called otherwise, and is the same.
            for values in written.values_mut() {
                values.iter_mut().filter(|v| *v == to).for_each(|v| v.clone_from(from));
                values.sort();
            }
        }
        let later = self.go(session, judged, &written, Some(&judged.after));
        let _ = session.run("ROLLBACK");
        found.note("after release N has written", said.1, later, &self.sql);
        found
    }

    /// `types`: values are compared in the types that this catalog has for them.
    fn go(&self, session: &mut Session, judged: &Replayed, before: &Data, types: Option<&Catalog>) -> (Undo, Option<SqlError>) {
        for sql in &self.sql {
            if let Err(e) = session.run(sql) {
                let of_rows = e.sqlstate.starts_with("22") || e.sqlstate.starts_with("23");
                return (if of_rows { Undo::BlockedByData } else { Undo::Impossible }, Some(e));
            }
        }
        let left = read(session, &judged.before, &self.tables, types);
        // What Postgres computes itself is not lost.
        let computed = |(id, n): &(Id, u16)| {
            [&judged.before, &judged.after]
                .into_iter()
                .filter_map(|c| c.relation(*id)?.columns.iter().find(|c| c.attnum == *n))
                .any(|c| c.generated.is_some())
        };
        let lost = before.iter().any(|(key, values)| !values.is_empty() && !computed(key) && left.get(key) != Some(values));
        (if lost { Undo::LosesData } else { Undo::Lossless }, None)
    }

    /// Statements of release N: new rows, rows like those that are there, values at the ends of what the types take.
    fn write(&self, session: &mut Session, cat: &Catalog, rng: &mut Rng, next: &mut u32) {
        for rel in self.tables.iter().filter_map(|id| cat.relation(*id)) {
            let like = one_row(session, rel);
            let wanted = [Shape::InsertFull, Shape::InsertMinimal, Shape::Update, Shape::UpdateToNull];
            for shape in compat::shapes(cat, rel).into_iter().filter(|s| wanted.contains(&s.shape)) {
                for kind in 0..3 {
                    let mut values = Vec::new();
                    for p in &shape.params {
                        let there = p.column.as_ref().and_then(|c| like.get(c)).cloned();
                        let fresh =
                            Gen { rng, cat, next }.value(&p.ty).and_then(|v| session.value(&format!("SELECT ({v})::text")).ok().flatten());
                        values.push(match kind {
                            _ if p.finds => there,
                            0 => fresh,
                            1 => p.examples(cat).pop().or(fresh),
                            _ => there.or(fresh),
                        });
                    }
                    let _ = session.run("SAVEPOINT n");
                    if session.run(&shape.fill(&values)).is_err() {
                        let _ = session.run("ROLLBACK TO SAVEPOINT n");
                    }
                }
            }
        }
    }
}

impl Found {
    fn note(&mut self, when: &str, said: Undo, (seen, error): (Undo, Option<SqlError>), sql: &[String]) {
        if seen > said {
            let error = error.map(|e| format!(" ({} {})", e.sqlstate, e.message)).unwrap_or_default();
            self.differ.push(format!("undo {when}: predicted {said}, observed {seen}{error}: {}", sql.join("; ")));
        }
        self.better += usize::from(seen < said);
    }
}

fn one_row(session: &mut Session, rel: &Relation) -> BTreeMap<String, String> {
    let columns: Vec<&str> = rel.columns.iter().map(|c| c.name.as_str()).collect();
    let list: Vec<String> = columns.iter().map(|c| format!("{}::text", ident(c))).collect();
    let rows = session.rows(&format!("SELECT {} FROM {} LIMIT 1", list.join(", "), rel.rel_name().sql())).unwrap_or_default();
    let row = rows.into_iter().next().unwrap_or_default();
    columns.into_iter().zip(row).filter_map(|(c, v)| Some((c.to_string(), v?))).collect()
}

/// What is there, by the names of that catalog; a table that is not there holds nothing.
fn read(session: &mut Session, cat: &Catalog, tables: &[Id], types: Option<&Catalog>) -> Data {
    let mut out = Data::new();
    for rel in tables.iter().filter_map(|id| cat.relation(*id)).filter(|r| r.kind == RelKind::Table) {
        for c in &rel.columns {
            let name = ident(&c.name);
            let other = types.and_then(|t| {
                t.relation(rel.id)?.columns.iter().find(|o| o.attnum == c.attnum && another_type(&o.ty, &c.ty)).map(|o| (t, &o.ty))
            });
            let cast = other.map(|(t, ty)| format!("::{}", type_sql(t, ty))).unwrap_or_default();
            let sql = format!("SELECT {name}{cast}::text FROM ONLY {} WHERE {name} IS NOT NULL", rel.rel_name().sql());
            let _ = session.run("SAVEPOINT r");
            match session.rows(&sql) {
                Ok(rows) => {
                    let mut values: Vec<String> = rows.into_iter().flatten().flatten().collect();
                    values.sort();
                    out.insert((rel.id, c.attnum), values);
                }
                Err(_) => {
                    let _ = session.run("ROLLBACK TO SAVEPOINT r");
                }
            }
        }
    }
    out
}

/// A type of one's own stays itself, whatever it is called.
fn another_type(a: &ColumnType, b: &ColumnType) -> bool {
    match (a.id, b.id) {
        (Some(x), Some(y)) => x != y || a.array_dims != b.array_dims,
        _ => a != b,
    }
}

/// The planner's own way back, and the plain ones that it has no use for.
fn way(op: &Op, before: &Catalog, after: &Catalog) -> Option<Vec<String>> {
    // Temporary tables are nobody's but the session's, and what a child has from above is changed there.
    let temporary = |r: &Relation| r.persistence == crate::op::Persistence::Temporary;
    if let OpKind::CreateTable(t) = &op.kind
        && after.relation_by(&t.name).is_none_or(temporary)
    {
        return None;
    }
    // What is made again from its own words may name what is gone, or is called otherwise since.
    let worded =
        |k: ObjectKind| matches!(k, ObjectKind::Function | ObjectKind::Procedure | ObjectKind::View | ObjectKind::MaterializedView);
    if let OpKind::Drop { objects, .. } = &op.kind
        && objects.iter().any(|o| worded(o.kind))
    {
        return None;
    }
    // What USING computed is not taken back by a cast, which need not exist.
    if let OpKind::Alter { action: AlterAction::SetType { column, using: Some(e), .. }, .. } = &op.kind
        && !compat::casts_the_column(e, column.as_str())
    {
        return None;
    }
    if let Some(r) = reverse(op, before, after) {
        return r.one_way.is_none().then_some(r.undo);
    }
    let OpKind::Alter { target, action } = &op.kind else { return None };
    let was = before.relation_by(&target.name)?;
    let is = after.relation(was.id)?;
    let kind = match target.kind {
        ObjectKind::Table | ObjectKind::View | ObjectKind::MaterializedView | ObjectKind::Sequence => {
            target.kind.to_string().replace('-', " ")
        }
        _ => return None,
    };
    let alter = |what: String| Some(vec![format!("ALTER {kind} {} {what}", qualified(&is.schema, &is.name))]);
    match action {
        AlterAction::RenameColumn { from, to, .. } => alter(format!("RENAME COLUMN {} TO {}", ident(to.as_str()), ident(from.as_str()))),
        AlterAction::RenameTo { .. } => alter(format!("RENAME TO {}", ident(&was.name))),
        AlterAction::SetSchema { .. } if was.schema != is.schema => alter(format!("SET SCHEMA {}", ident(&was.schema))),
        AlterAction::SetNotNull { column } if !was.column(column.as_str())?.not_null => {
            alter(format!("ALTER COLUMN {} DROP NOT NULL", ident(column.as_str())))
        }
        AlterAction::DropColumn { column, .. } => {
            let c = was.column(column.as_str())?;
            if c.generated.is_some() || c.identity.is_some() || c.serial.is_some() || !before.children_of(was.id).is_empty() {
                return None;
            }
            // Whoever runs it may have a name that is too long.
            if matches!(c.default.as_ref().map(|d| &d.kind), Some(ExprKind::SqlValue(_))) && !c.ty.modifiers.is_empty() {
                return None;
            }
            let default = c.default.as_ref().map(|d| format!(" DEFAULT {}", d.text)).unwrap_or_default();
            let not_null = if c.not_null { " NOT NULL" } else { "" };
            alter(format!("ADD COLUMN {} {}{default}{not_null}", ident(&c.name), type_sql(before, &c.ty)))
        }
        AlterAction::AddIdentity { column, .. } => alter(format!("ALTER COLUMN {} DROP IDENTITY", ident(column.as_str()))),
        AlterAction::Inherit { parent } => alter(format!("NO INHERIT {}", before.relation_by(parent)?.rel_name().sql())),
        AlterAction::AttachPartition { partition, .. } if was.index.is_none() => {
            alter(format!("DETACH PARTITION {}", before.relation_by(partition)?.rel_name().sql()))
        }
        _ => None,
    }
}
