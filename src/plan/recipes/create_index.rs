//! CREATE INDEX on a table that holds rows: concurrently. And copies of indexes, for recipes that add a second column.

use crate::catalog::{Catalog, ConKind, Constraint, Id, Relation};
use crate::op::CreateIndex;
use crate::quote::{generated_name, ident, literal, qualified};

use super::super::blocks::table;
use super::super::draft::{duplicates, slug};
use super::super::exprs::all_renamed;
use super::super::standing::{Standing, StandingStep};
use super::super::{PhaseKind, Precondition};

/// The statement's own words, with CONCURRENTLY, and with a name where it had none: the undo needs it.
pub fn step(s: &Standing<'_>, index: &CreateIndex, before: &Catalog, after: &Catalog) -> Result<StandingStep, String> {
    let rel = before.relation_by(&index.table).ok_or_else(|| format!("`{}` is not known", index.table))?;
    let new = after.indexes_of(rel.id).into_iter().find(|i| before.relation(i.id).is_none()).ok_or("the index is there already")?;
    let name = new.name.clone();
    let mut sql = s.words.clone();
    if !index.concurrently {
        let at = (index.index_span.end - s.op.span.start) as usize;
        let insert = if index.name.is_none() { format!(" CONCURRENTLY {}", ident(&name)) } else { " CONCURRENTLY".to_string() };
        sql.insert_str(at, &insert);
    }
    let known: Option<Vec<String>> = new.index.iter().flat_map(|i| i.columns.iter().cloned()).collect();
    let unique = index.unique.then_some(known).flatten().filter(|c| !c.is_empty());
    let filter = index.filter.as_ref().map(|f| f.text.as_str());
    Ok(StandingStep {
        id: slug(&["index", &rel.name, &name]),
        title: format!("Build `{name}` without blocking writes"),
        statements: vec![sql],
        undo: vec![format!("DROP INDEX CONCURRENTLY {}", qualified(&new.schema, &name))],
        transaction: false,
        preconditions: unique.iter().map(|c| duplicates(&table(rel), c, filter, index.nulls_not_distinct)).collect(),
        checklist: match index.unique {
            // Release N may need it for ON CONFLICT from its first write on.
            true => vec![format!(
                "From expand on, `{name}` refuses rows that are alike: N-1 must bear that, or the index waits for a migration after N-1 is gone."
            )],
            false => Vec::new(),
        },
        ..StandingStep::default()
    })
}

/// The index that a constraint makes, as one that stands by itself, with `how` before its name.
pub fn of_constraint(catalog: &Catalog, id: Id, name: &str, how: &str) -> Option<String> {
    let mut alone = (**catalog.relations.get(&id)?).clone();
    alone.name = name.to_string();
    let index = alone.index.as_mut()?;
    (index.constraint, index.primary, index.deferrable) = (false, false, false);
    Some(catalog.relation_sql(&alone).replacen("INDEX ", &format!("INDEX {how}"), 1))
}

/// An index that a later statement would build under a lock: built before, and taken by that statement.
pub struct Built {
    pub table: String,
    pub create: String,
    /// The same inside of a transaction, for the undo.
    pub again: String,
    pub drop: String,
    /// Makes it the constraint that it stands for.
    pub constraint: Option<String>,
    unconstrained: Option<String>,
    name: String,
    pub duplicates: Option<Precondition>,
}

/// The index of that schema, on the table as it is now. `name` is its own until a constraint takes it.
pub fn built_before(after: &Catalog, rel: &Relation, index: &Relation, name: &str) -> Option<Built> {
    let of = index.index.as_ref()?;
    let mut alone = index.clone();
    alone.name = name.to_string();
    if let Some(i) = alone.index.as_mut() {
        (i.parent, i.constraint, i.primary, i.deferrable) = (None, false, false, false);
    }
    let again = after.relation_sql(&alone);
    let on = table(rel);
    let made = after.relation(rel.id)?.constraints.iter().find(|c| c.kind.index() == Some(index.id));
    if of.constraint && made.is_none() || of.exclusion {
        return None;
    }
    let columns: Vec<String> = of.columns.iter().flatten().cloned().collect();
    let unique = of.unique && columns.len() == of.columns.len();
    Some(Built {
        table: rel.name.clone(),
        create: again.replacen("INDEX ", "INDEX CONCURRENTLY ", 1),
        drop: format!("DROP INDEX CONCURRENTLY {}", qualified(&index.schema, name)),
        constraint: made.map(|c| {
            let kind = if matches!(c.kind, ConKind::PrimaryKey { .. }) { "PRIMARY KEY" } else { "UNIQUE" };
            format!("ALTER TABLE {on} ADD CONSTRAINT {} {kind} USING INDEX {}{}", ident(&c.name), ident(name), deferred(c))
        }),
        unconstrained: made.map(|c| format!("ALTER TABLE {on} DROP CONSTRAINT {}", ident(&c.name))),
        duplicates: unique.then(|| duplicates(&on, &columns, of.filter.as_ref().map(|f| f.text.as_str()), of.nulls_not_distinct)),
        again,
        name: name.to_string(),
    })
}

impl Built {
    /// On the table under the name that it still has.
    pub fn on(&mut self, last: &str, now: &str) {
        for sql in [&mut self.create, &mut self.again] {
            *sql = sql.replacen(&format!(" ON {last} "), &format!(" ON {now} "), 1);
        }
    }

    pub fn steps(self, phase: PhaseKind) -> Vec<StandingStep> {
        let mut out = vec![StandingStep {
            phase: Some(phase),
            id: slug(&["index", &self.table, &self.name]),
            title: format!("`{}`: build `{}` without blocking writes", self.table, self.name),
            statements: vec![self.create],
            undo: vec![self.drop],
            transaction: false,
            preconditions: self.duplicates.into_iter().collect(),
            ..StandingStep::default()
        }];
        if let (Some(constraint), Some(drop)) = (self.constraint, self.unconstrained) {
            out.push(StandingStep {
                phase: Some(phase),
                id: slug(&["key", &self.table, &self.name]),
                title: format!("`{}`: make the index a constraint", self.table),
                statements: vec![constraint],
                undo: vec![drop, self.again],
                ..StandingStep::default()
            });
        }
        out
    }
}

/// ` DEFERRABLE …` of a constraint.
pub fn deferred(c: &Constraint) -> &'static str {
    match (c.deferrable, c.initially_deferred) {
        (false, _) => "",
        (true, false) => " DEFERRABLE",
        (true, true) => " DEFERRABLE INITIALLY DEFERRED",
    }
}

/// The copy of an index on a second column.
pub struct Copy {
    pub name: String,
    pub create: String,
    pub drop: String,
    /// Takes the original's name, when that is gone.
    pub rename: String,
    /// The original.
    pub of: Id,
    /// The original backs a constraint.
    pub constraint: bool,
    /// Release N may name it in ON CONFLICT from its first write on.
    pub unique: bool,
    /// The original's comment, said of the copy once it has the name.
    pub comment: Option<String>,
}

/// Copies of every index that uses one of the columns, on their second columns: by their definition, with those columns exchanged.
/// `of` is the column that asks: an index over several is copied for the first of them. `None`: an index cannot be put into other words.
pub fn copies(catalog: &Catalog, rel: &Relation, of: &str, seconds: &[(&str, &str)], suffix: &str) -> Option<Vec<Copy>> {
    let mut out = Vec::new();
    for i in catalog.indexes_of(rel.id) {
        let asks =
            |x: &crate::catalog::Index| seconds.iter().find(|(c, _)| x.depends.iter().any(|d| d == c)).is_some_and(|(c, _)| *c == of);
        let Some(x) = i.index.as_ref().filter(|x| x.valid && !x.exclusion && asks(x)) else { continue };
        let name = generated_name("airlock_", &[&i.name, suffix]);
        let swap = |n: &String| seconds.iter().find(|(c, _)| c == n).map_or_else(|| n.clone(), |(_, s)| (*s).to_string());
        let mut copy = i.clone();
        copy.name.clone_from(&name);
        let mut index = x.clone();
        for e in &mut index.elements {
            e.expr = all_renamed(&e.expr, seconds)?;
        }
        index.filter = match &x.filter {
            Some(f) => Some(all_renamed(f, seconds)?),
            None => None,
        };
        index.columns = x.columns.iter().map(|c| c.as_ref().map(swap)).collect();
        index.include = x.include.iter().map(swap).collect();
        index.constraint = false;
        copy.index = Some(index);
        let create = catalog.relation_sql(&copy).replacen("INDEX ", "INDEX CONCURRENTLY ", 1);
        out.push(Copy {
            drop: format!("DROP INDEX CONCURRENTLY {}", qualified(&rel.schema, &name)),
            rename: format!("ALTER INDEX {} RENAME TO {}", qualified(&rel.schema, &name), ident(&i.name)),
            create,
            name,
            of: i.id,
            constraint: x.constraint,
            unique: x.unique,
            comment: i.comment.as_ref().map(|c| format!("COMMENT ON INDEX {} IS {}", qualified(&rel.schema, &i.name), literal(c))),
        });
    }
    Some(out)
}
