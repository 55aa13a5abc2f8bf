//! A table made anew under its old name: partitioned, or with other rules. The new one stands beside the old one under a name of its own and
//! both follow each other, whoever writes where; rows are copied in pages; when N-1 is gone the names change hands, without a row being read.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Column, ConKind, Constraint, Id, Relation};
use crate::op::{AlterAction, OpKind, PartitionBound};
use crate::quote::{generated_name, ident, idents, literal, qualified};

use super::super::blocks::{NOTHING, key, paged, table};
use super::super::draft::{Draft, precondition, slug};
use super::super::mirror::Mirror;
use super::super::rebuilt::Rebuild;
use super::super::standing::StandingStep;
use super::super::{Boundary, Ctx, Invariant, PhaseKind, PlanOptions, Precondition, Stop};

/// The steps of one table.
#[derive(Default)]
pub struct Rebuilt {
    steps: Vec<(PhaseKind, StandingStep)>,
}

impl Rebuilt {
    pub fn emit(&self, draft: &mut Draft, phase: PhaseKind, bound: &str) {
        self.steps.iter().filter(|(p, _)| *p == phase).for_each(|(_, s)| s.clone().emit(draft, phase, bound));
    }

    pub fn statements(&self) -> impl Iterator<Item = String> + '_ {
        self.steps.iter().flat_map(|(_, s)| s.statements.iter().cloned())
    }

    pub fn push(&mut self, phase: PhaseKind, step: StandingStep) {
        self.steps.push((phase, step));
    }
}

pub fn plan(x: &Ctx<'_>, r: &Rebuild, options: &PlanOptions, draft: &mut Draft) -> Result<Rebuilt, Stop> {
    let (before, after) = (&x.script.before, &x.script.after);
    let (old, new) = (&*r.old, &*r.new);
    fits(x, r)?;
    let names = Names::of(x, r)?;
    let staged = names.staged(after);
    let Some(made) = staged.relation(new.id) else { return x.refuse(r.span, "the new table is not known", "plan this change by hand") };
    let keys = shared_key(x, r)?;
    let columns: Vec<String> = new.columns.iter().filter(|c| c.generated.is_none()).map(|c| c.name.clone()).collect();
    // What Postgres always gives by itself takes no other value by an UPDATE.
    let fixed = |n: &String| [old, new].iter().any(|t| t.column(n).and_then(|c| c.identity.as_ref()).is_some_and(|i| i.always));
    let rest: Vec<String> = columns.iter().filter(|c| !keys.contains(c) && !fixed(c)).cloned().collect();
    let parked = qualified(&old.schema, &generated_name("airlock_old_", &[&old.name]));
    let (on, beside) = (table(old), table(made));
    let mirror = |from: &str, to: &str, what: &str, careful: bool| Mirror {
        catalog: before,
        schema: &old.schema,
        name: generated_name("zzzz_airlock_", &[&old.name, what]),
        from: from.to_string(),
        to: to.to_string(),
        keys: &keys,
        columns: &columns,
        rest: &rest,
        careful,
    };
    let (strict, lax) = (may_refuse(before, old, after, new), may_refuse(after, new, before, old));
    let there = mirror(&on, &beside, "to_new", strict);
    let back = mirror(&beside, &on, "to_old", lax);
    let back_at_last = mirror(&on, &parked, "to_old", lax);

    let alike = Apart { keys: &keys, rest: &rest }.precondition(&on, &beside);
    draft.invariants.push(Invariant {
        title: format!("`{}` and its new table hold the same rows", old.name),
        sql: alike.sql.clone(),
        from: Boundary::B2,
        until: Boundary::B2,
    });
    said(r, strict, draft);

    let created = created(&staged, before, new.id);
    let mut expand = created.statements;
    expand.extend(there.create());
    expand.extend(back.create());
    let mut undo = back.drop();
    undo.extend(there.drop());
    undo.push(format!("DROP TABLE {beside}"));
    let what = if new.partition_by.is_some() { "partitioned" } else { "as release N has it" };
    let mut out = Rebuilt::default();
    let id = |what: &str| slug(&[what, &old.name]);
    out.add(PhaseKind::Expand, id("beside"), format!("`{}` {what} beside the old one; the two follow each other", old.name), expand, undo);
    let over = if new.columns.iter().any(|c| c.identity.as_ref().is_some_and(|i| i.always)) { " OVERRIDING SYSTEM VALUE" } else { "" };
    let list = idents(&columns);
    // A row that goes or changes meanwhile waits for its copy: none comes back.
    let copy = paged(before, old, "airlock_t", options, &|page| {
        format!(
            "INSERT INTO {beside} ({list}){over} SELECT {} FROM {on} AS airlock_t WHERE {page} FOR SHARE OF airlock_t ON CONFLICT DO NOTHING",
            columns.iter().map(|c| format!("airlock_t.{}", ident(c))).collect::<Vec<_>>().join(", ")
        )
    });
    out.alone(id("copy"), format!("Copy the rows of `{}`, in batches of {}", old.name, options.batch_size), copy);
    out.alone(id("analyze"), format!("Statistics of the new `{}`: queries need them at once", old.name), format!("ANALYZE {beside}"));

    let (swap, undo) = swap(x, r, &names, &created.later, [&there, &back, &back_at_last]);
    out.add(PhaseKind::ContractSoft, id("swap"), format!("Release N-1 is gone: the new table takes the name `{}`", old.name), swap, undo)
        .preconditions
        .push(alike);
    let mut gone = back_at_last.drop();
    gone.push(format!("DROP TABLE {parked}"));
    out.add(PhaseKind::ContractHard, id("drop"), format!("Drop the old `{}` for good", old.name), gone, Vec::new())
        .no_way_back("the old table is gone; the new one has its rows");
    Ok(out)
}

impl Rebuilt {
    fn add(&mut self, phase: PhaseKind, id: String, title: String, statements: Vec<String>, undo: Vec<String>) -> &mut StandingStep {
        self.steps.push((phase, StandingStep { id, title, statements, undo, ..StandingStep::default() }));
        let last = self.steps.len() - 1;
        &mut self.steps[last].1
    }

    /// A statement of the migrate phase outside of a transaction; what it leaves may stay.
    fn alone(&mut self, id: String, title: String, statement: String) {
        self.add(PhaseKind::Migrate, id, title, vec![statement], vec![NOTHING.into()]).transaction = false;
    }
}

/// The two say the same of every column, and nothing hangs on the old one that would not find the new one.
fn fits(x: &Ctx<'_>, r: &Rebuild) -> Result<(), Stop> {
    let (before, old, new) = (&x.script.before, &r.old, &r.new);
    if x.app() {
        return x.by_trigger(r.span, "rows of two tables follow each other");
    }
    if let Some(span) = r.rows {
        return x.refuse(
            span,
            format!("rows of the new `{}` change in the file that makes it", old.name),
            "put the change of rows into a migration of its own, before or after this one",
        );
    }
    if old.is_partition() || !old.parents.is_empty() || !before.children_of(old.id).is_empty() {
        return x.refuse(
            r.span,
            format!("`{}` has partitions or a table above it, which the new one does not take over", old.name),
            "attach and detach partitions instead of making the table anew",
        );
    }
    let one = |t: &Relation, c: &Column| {
        let ty = c.ty.clone();
        (ty, c.collation.clone(), c.generated.is_some(), t.column(&c.name).is_some())
    };
    let other = old.columns.iter().find(|c| new.column(&c.name).is_none_or(|n| one(new, n) != one(old, c)));
    let other = other.or_else(|| new.columns.iter().find(|c| old.column(&c.name).is_none()));
    if let Some(c) = other {
        return x.refuse(
            r.span,
            format!("`{}` of the new `{}` is not the column of the old one", c.name, old.name),
            "change the columns in a migration of its own, before or after this one",
        );
    }
    if let Some(view) = before.direct_views_on(old.id, None).first().and_then(|v| before.relation(*v)) {
        return x.refuse(
            r.span,
            format!("the view `{}` reads the old `{}`, and would go on to read it behind the swap", view.name, old.name),
            "drop the view in a migration before this one, and make it again in one behind it",
        );
    }
    Ok(())
}

/// Columns by which a row of the one finds its row in the other.
fn shared_key(x: &Ctx<'_>, r: &Rebuild) -> Result<Vec<String>, Stop> {
    let name = &r.old.name;
    let Some(unique) = key(&x.script.before, &r.old) else {
        return x.refuse(
            r.span,
            format!("no key tells one row of `{name}` from another, so the new table cannot follow it"),
            "give it a primary key in an earlier migration",
        );
    };
    let keys = r.new.constraints.iter().filter_map(|c| match &c.kind {
        ConKind::PrimaryKey { columns, .. } | ConKind::Unique { columns, .. } => Some(columns),
        _ => None,
    });
    match { keys }.find(|k| unique.iter().all(|u| k.contains(u))) {
        Some(k) => Ok(k.clone()),
        None => x.refuse(
            r.span,
            format!("no key of the new `{name}` has the columns {} of the old one's key", idents(&unique)),
            "let the new primary key hold all columns of the old one, and those of the partition key",
        ),
    }
}

/// What is called otherwise as long as the old table has its name.
struct Names {
    /// Kind, schema, name in the end, name until the swap.
    new: Vec<(&'static str, String, String, String)>,
    /// Kind, schema, name until the swap, name behind it.
    old: Vec<(&'static str, String, String, String)>,
}

impl Names {
    fn of(x: &Ctx<'_>, r: &Rebuild) -> Result<Names, Stop> {
        let (before, after) = (&x.script.before, &x.script.after);
        let mut out = Names { new: Vec::new(), old: Vec::new() };
        let family = belongings(before, r.old.id);
        for id in belongings(after, r.new.id) {
            let Some(rel) = after.relation(id).filter(|r| before.relation(r.id).is_none()) else { continue };
            let Some(taken) = before.relation_named(&rel.schema, &rel.name) else { continue };
            let serial = rel.sequence.as_ref().is_some_and(|s| !s.identity);
            if !family.contains(&taken.id) || serial {
                return x.refuse(
                    r.span,
                    format!("`{}` is still the name of something else when the new table is made", rel.name),
                    "give it another name",
                );
            }
            let kind = kind(rel);
            out.new.push((kind, rel.schema.clone(), rel.name.clone(), generated_name("airlock_", &[&rel.name, "new"])));
            out.old.push((kind, rel.schema.clone(), rel.name.clone(), generated_name("airlock_old_", &[&rel.name])));
        }
        for id in after.descendants_of(r.new.id) {
            let Some(part) = after.relation(id) else { continue };
            if before.relation_named(&part.schema, &part.name).is_some() {
                return x.refuse(
                    r.span,
                    format!("`{}` is still the name of something else when the partition is made", part.name),
                    "give the partition another name",
                );
            }
        }
        Ok(out)
    }

    /// The schema of the end, with these names.
    fn staged(&self, after: &Catalog) -> Catalog {
        let mut out = after.clone();
        for (kind, schema, last, first) in &self.new {
            apply(&mut out, &rename(kind, schema, last, first));
        }
        out
    }
}

fn apply(catalog: &mut Catalog, sql: &str) {
    crate::lower::lower_text(sql).iter().for_each(|s| drop(catalog.apply_statement(s)));
}

fn rename(kind: &str, schema: &str, from: &str, to: &str) -> String {
    format!("ALTER {kind} {} RENAME TO {}", qualified(schema, from), ident(to))
}

fn kind(rel: &Relation) -> &'static str {
    match (rel.kind.is_index(), &rel.sequence) {
        (true, _) => "INDEX",
        (_, Some(_)) => "SEQUENCE",
        _ => "TABLE",
    }
}

/// The table itself, its indexes and its sequences.
fn belongings(c: &Catalog, table: Id) -> Vec<Id> {
    let (indexes, sequences) = (c.indexes_of(table), c.sequences_of(table));
    std::iter::once(table).chain(indexes.iter().map(|i| i.id)).chain(sequences.iter().map(|(s, _)| s.id)).collect()
}

/// What makes the new table.
pub struct Created {
    pub statements: Vec<String>,
    /// Triggers of the application: they fire when the table is in use, not for its copies.
    later: Vec<Id>,
}

pub fn created(staged: &Catalog, before: &Catalog, new: Id) -> Created {
    let mut out = Created { statements: Vec::new(), later: Vec::new() };
    let tables: Vec<Id> = std::iter::once(new).chain(staged.descendants_of(new)).collect();
    let sequences = staged.sequences_of(new).into_iter().map(|(s, _)| s);
    let mut behind = Vec::new();
    for s in sequences.filter(|s| before.relation(s.id).is_none() && s.sequence.as_ref().is_some_and(|s| !s.identity)) {
        let mut all = staged.whole_sql(s).into_iter();
        out.statements.extend(all.next());
        behind.extend(all);
    }
    for t in tables.iter().filter_map(|id| staged.relation(*id)) {
        let made = if t.id == new { staged.whole_sql(t) } else { staged.partition_sql(t) };
        out.statements.extend(made.into_iter().filter(|sql| !is_trigger(sql)));
        if !t.triggers.is_empty() {
            out.later.push(t.id);
        }
    }
    out.statements.extend(behind);
    out
}

fn is_trigger(sql: &str) -> bool {
    let read = crate::lower::lower_text(sql);
    read.iter().flat_map(|s| &s.ops).any(|o| {
        matches!(&o.kind, OpKind::CreateTrigger(_) | OpKind::Alter { action: AlterAction::Trigger { .. }, .. })
            || matches!(&o.kind, OpKind::Comment { object, .. } if object.kind == crate::op::ObjectKind::Trigger)
    })
}

/// The names change hands, and back.
fn swap(x: &Ctx<'_>, r: &Rebuild, names: &Names, triggers: &[Id], [there, back, at_last]: [&Mirror<'_>; 3]) -> (Vec<String>, Vec<String>) {
    let (before, after, old, new) = (&x.script.before, &x.script.after, &r.old, &r.new);
    let mut up = there.drop();
    up.extend(back.drop());
    let mut down = Vec::new();
    for (kind, schema, from, to) in &names.old {
        up.push(rename(kind, schema, from, to));
        down.insert(0, rename(kind, schema, to, from));
    }
    for (kind, schema, last, first) in &names.new {
        up.push(rename(kind, schema, first, last));
        down.insert(0, rename(kind, schema, last, first));
    }
    let parked = qualified(&old.schema, &generated_name("airlock_old_", &[&old.name]));
    // Triggers of the application fire once for a write.
    for t in old.triggers.iter().filter(|t| t.mode != crate::op::TriggerMode::Disable) {
        up.push(format!("ALTER TABLE {parked} DISABLE TRIGGER {}", ident(&t.name)));
        down.insert(0, format!("ALTER TABLE {parked} {} TRIGGER {}", t.mode.sql(), ident(&t.name)));
    }
    for (theirs, column) in before.sequences_of(old.id) {
        let Some(ours) = after.sequence_of_column(new.id, column) else { continue };
        let name = qualified(&ours.schema, &ours.name);
        if ours.id == theirs.id {
            let owned = |by: &str| format!("ALTER SEQUENCE {name} OWNED BY {by}.{}", ident(column));
            up.push(owned(&table(new)));
            down.insert(0, owned(&parked));
            continue;
        }
        let first = names.old.iter().find(|(_, s, n, _)| *s == theirs.schema && *n == theirs.name).map_or(&theirs.name, |n| &n.3);
        let theirs = qualified(&theirs.schema, first);
        let goes_on = |to: &str, from: &str| format!("SELECT setval({}, last_value, is_called) FROM {from}", literal(to));
        up.push(goes_on(&name, &theirs));
        down.insert(0, goes_on(&theirs, &name));
    }
    for t in triggers.iter().filter_map(|id| after.relation(*id)) {
        up.extend(after.whole_sql(t).into_iter().filter(|sql| is_trigger(sql)));
        let own = t.triggers.iter().filter(|t| !t.inherited);
        down.splice(0..0, own.map(|g| format!("DROP TRIGGER {} ON {}", ident(&g.name), table(t))));
    }
    up.extend(at_last.create());
    down.splice(0..0, at_last.drop());
    down.extend(there.create());
    down.extend(back.create());
    (up, down)
}

/// Rows of the one that the other has not, or has otherwise.
struct Apart<'a> {
    keys: &'a [String],
    rest: &'a [String],
}

impl Apart<'_> {
    fn precondition(&self, old: &str, new: &str) -> Precondition {
        let on = self.keys.iter().map(|k| format!("airlock_n.{0} = airlock_o.{0}", ident(k))).collect::<Vec<_>>().join(" AND ");
        let first = self.keys.first().map_or_else(String::new, |k| ident(k));
        let row = |t: &str| format!("ROW({})::text", self.rest.iter().map(|c| format!("{t}.{}", ident(c))).collect::<Vec<_>>().join(", "));
        let differ = match self.rest.is_empty() {
            true => String::new(),
            false => format!(" OR {} IS DISTINCT FROM {}", row("airlock_n"), row("airlock_o")),
        };
        let list =
            self.keys.iter().map(|k| format!("COALESCE(airlock_o.{0}, airlock_n.{0}) AS {0}", ident(k))).collect::<Vec<_>>().join(", ");
        precondition(
            "the old and the new table hold the same rows",
            format!(
                "SELECT {list} FROM {old} AS airlock_o FULL JOIN {new} AS airlock_n ON {on} WHERE airlock_o.{first} IS NULL OR airlock_n.{first} IS NULL{differ} LIMIT 5"
            ),
        )
    }
}

/// A row of the one may be none for the other: a write of the one release is never refused for that.
fn may_refuse(from: &Catalog, one: &Relation, to: &Catalog, other: &Relation) -> bool {
    let nullable = |c: &&Column| c.not_null && one.column(&c.name).is_some_and(|o| !o.not_null);
    let words = |c: &Catalog, k: &Constraint| c.constraint_definition(&Constraint { name: String::new(), ..k.clone() }, false);
    let has = |k: &Constraint| match &k.kind {
        ConKind::NotNull { .. } => true,
        // One that is told by fewer columns already.
        ConKind::PrimaryKey { columns, .. } | ConKind::Unique { columns, .. } => {
            one.constraints.iter().filter(|o| o.kind.index().is_some()).any(|o| o.kind.columns().iter().all(|c| columns.contains(c)))
        }
        _ => one.constraints.iter().any(|o| words(from, o) == words(to, k)),
    };
    let unique = |c: &Catalog, t: &Relation| -> BTreeSet<Vec<String>> {
        let each = c.indexes_of(t.id).into_iter().filter_map(|i| i.index.as_ref()).filter(|i| i.unique && !i.constraint);
        each.map(|i| i.depends.clone()).collect()
    };
    other.columns.iter().any(|c| nullable(&c))
        || !other.constraints.iter().all(has)
        || !unique(to, other).is_subset(&unique(from, one))
        || !takes_all(to, other)
}

/// Every row finds a partition.
fn takes_all(c: &Catalog, rel: &Relation) -> bool {
    let Some(by) = &rel.partition_by else { return true };
    let children: Vec<&Relation> = c.children_of(rel.id).into_iter().filter_map(|id| c.relation(id)).collect();
    let default = children.iter().any(|r| r.partition_bound == Some(PartitionBound::Default));
    let every = by.strategy.eq_ignore_ascii_case("hash")
        && children
            .iter()
            .any(|r| matches!(&r.partition_bound, Some(PartitionBound::Hash { modulus, .. }) if modulus.parse() == Ok(children.len())));
    (default || every) && children.iter().all(|r| takes_all(c, r))
}

fn said(r: &Rebuild, strict: bool, draft: &mut Draft) {
    let name = &r.old.name;
    if strict {
        draft.checklist.push(format!(
            "A row that the new `{name}` does not take (no partition for it, or a rule that the old one has not) stays in the old one alone: nobody's write is refused, the copy stops at it, and the swap waits until there is none."
        ));
    }
    if r.new.partition_by.is_some() {
        draft.checklist.push(format!("Until the soft contract, release N writes to `{name}` itself, not to a partition of it by name."));
    }
    keys_differ(&r.old, &r.new, draft);
}

/// Statements of release N that need a key of its own.
pub fn keys_differ(old: &Relation, new: &Relation, draft: &mut Draft) {
    let (name, on) = (&old.name, old.rel_name());
    let arbiters = |t: &Relation, named: bool| -> BTreeSet<(String, Vec<String>)> {
        let keys = t.constraints.iter().filter(|c| c.kind.index().is_some());
        keys.map(|c| (if named { c.name.clone() } else { String::new() }, c.kind.columns().to_vec())).collect()
    };
    let differ = |named: bool| arbiters(old, named) != arbiters(new, named);
    if differ(false) {
        draft
            .checklist
            .push(format!("Until the soft contract `{name}` has the keys of N-1: release N runs no ON CONFLICT that needs its own."));
        draft.except.extend(["upsert-primary-key", "upsert-columns"].map(|shape| format!("{shape} on {on}")));
    }
    if differ(true) {
        draft
            .checklist
            .push(format!("Until the soft contract release N says no constraint of the new `{name}` by name (ON CONFLICT ON CONSTRAINT)."));
        draft.except.push(format!("upsert-constraint on {on}"));
    }
}
