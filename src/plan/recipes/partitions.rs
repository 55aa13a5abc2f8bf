//! ATTACH, DETACH and CREATE … PARTITION OF: no table is read while nobody can use it. What Postgres would look for in the rows is proved
//! before by a CHECK, which lets reads and writes through while it is proved.

use crate::catalog::{ConKind, Constraint, Id, Relation, bound_sql};
use crate::compat::Undo;
use crate::op::{AlterAction, CreateTable, PartitionBound, QName};
use crate::quote::{generated_name, ident};

use super::super::PhaseKind;
use super::super::blocks::table;
use super::super::draft::{precondition, slug};
use super::super::standing::{Standing, StandingStep};
use super::create_index::built_before;

/// A CHECK that says what the rows of a table are, or are not, with its way there.
pub struct Proof {
    on: String,
    table: String,
    name: String,
    condition: String,
}

impl Proof {
    pub fn of(rel: &Relation, condition: String) -> Proof {
        Proof::named(rel, condition, "bound")
    }

    pub fn named(rel: &Relation, condition: String, suffix: &str) -> Proof {
        let name = ident(&generated_name("airlock_", &[&rel.name, suffix]));
        Proof { on: table(rel), table: rel.name.clone(), name, condition }
    }

    pub fn add(&self) -> String {
        format!("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({}) NOT VALID", self.on, self.name, self.condition)
    }

    pub fn drop(&self) -> String {
        format!("ALTER TABLE {} DROP CONSTRAINT {}", self.on, self.name)
    }

    fn validate(&self) -> String {
        format!("ALTER TABLE {} VALIDATE CONSTRAINT {}", self.on, self.name)
    }

    /// The same proof of the table under another name.
    pub fn under(&self, on: String) -> Proof {
        Proof { on, table: self.table.clone(), name: self.name.clone(), condition: self.condition.clone() }
    }

    /// The CHECK again, behind its drop.
    pub fn again(&self) -> [String; 2] {
        [self.add(), self.validate()]
    }

    pub fn steps(&self, phase: PhaseKind, what: &str) -> [StandingStep; 2] {
        [
            StandingStep {
                phase: Some(phase),
                id: slug(&["bound", &self.table]),
                title: format!("`{}` takes no row {what}", self.table),
                statements: vec![self.add()],
                undo: vec![self.drop()],
                preconditions: vec![precondition(
                    format!("`{}` has no row {what}", self.table),
                    format!("SELECT * FROM {} WHERE NOT ({}) LIMIT 5", self.on, self.condition),
                )],
                ..StandingStep::default()
            },
            StandingStep {
                phase: Some(phase),
                id: slug(&["prove", &self.table]),
                title: format!("Prove it for the rows that `{}` has, while it is in use", self.table),
                statements: vec![self.validate()],
                undo: vec![self.drop(), self.add()],
                ..StandingStep::default()
            },
        ]
    }
}

/// The default partition beside a new one holds none of its rows.
fn beside_default(s: &Standing<'_>, parent: &Relation, bound: &PartitionBound, part: Id) -> Result<Option<Proof>, String> {
    if *bound == PartitionBound::Default {
        return Ok(None);
    }
    let children = s.before.children_of(parent.id);
    let default = children.iter().filter_map(|c| s.before.relation(*c)).find(|r| r.partition_bound == Some(PartitionBound::Default));
    let Some(default) = default.filter(|d| s.script.before.relation(d.id).is_some()) else { return Ok(None) };
    let condition = s.after.partition_condition(part).ok_or("what the bounds of the partition say is not known")?;
    Ok(Some(Proof::of(default, format!("NOT ({condition})"))))
}

/// CREATE TABLE … PARTITION OF beside a default partition.
pub fn create(s: &Standing<'_>, t: &CreateTable) -> Option<Result<Vec<StandingStep>, String>> {
    let (parent, bound) = t.partition_of.as_ref()?;
    let parent = s.before.relation_by(parent).filter(|p| s.script.before.relation(p.id).is_some())?;
    let part = s.after.relation_by(&t.name)?;
    let proof = match beside_default(s, parent, bound, part.id) {
        Ok(p) => p?,
        Err(e) => return Some(Err(e)),
    };
    let phase = PhaseKind::Expand;
    let mut out: Vec<StandingStep> = proof.steps(phase, &format!("that belongs into `{}`", part.name)).into();
    if let Some(s) = out.first_mut() {
        s.checklist.push(refused_meanwhile(&proof.table, &part.name));
    }
    let mut undo = proof.again().to_vec();
    if !s.before.foreign_keys_reaching(parent.id).is_empty() {
        undo.push(format!("ALTER TABLE {} DETACH PARTITION {}", table(parent), table(part)));
    }
    undo.push(format!("DROP TABLE {}", table(part)));
    out.push(StandingStep {
        phase: Some(phase),
        id: slug(&["partition", &part.name]),
        title: format!("Create the partition `{}`: the default one need not be read", part.name),
        statements: vec![s.words.clone(), proof.drop()],
        undo,
        ..StandingStep::default()
    });
    Some(Ok(out))
}

fn refused_meanwhile(default: &str, part: &str) -> String {
    format!(
        "From the CHECK on `{default}` until `{part}` is there, a row that belongs into `{part}` is refused (23514): make the partition before anybody writes such rows, or when nobody does."
    )
}

/// ATTACH PARTITION of a table that holds rows.
pub fn attach(s: &Standing<'_>, parent: &QName, part: &QName, bound: &PartitionBound) -> Option<Result<Vec<StandingStep>, String>> {
    let parent = s.before.relation_by(parent).filter(|r| r.partition_by.is_some())?;
    let rel = s.before.relation_by(part)?;
    if s.script.before.relation(rel.id).is_none() || s.script.before.relation(parent.id).is_none() {
        return None;
    }
    Some(attached(s, parent, rel, bound))
}

fn attached(s: &Standing<'_>, parent: &Relation, rel: &Relation, bound: &PartitionBound) -> Result<Vec<StandingStep>, String> {
    if rel.partition_by.is_some() {
        return Err(format!("`{}` is partitioned itself: attach its partitions one by one", rel.name));
    }
    let phase = PhaseKind::ContractSoft;
    let mut out = Vec::new();
    let made = || s.after.indexes_of(rel.id).into_iter().filter(|i| s.before.relation(i.id).is_none());
    let keys: Vec<&Relation> = made().filter(|i| i.index.as_ref().is_some_and(|i| i.unique)).collect();
    for i in made() {
        out.extend(built_before(s.after, rel, i, &i.name).ok_or_else(|| format!("`{}` cannot be built before", i.name))?.steps(phase));
    }
    for c in parent.constraints.iter().filter(|c| matches!(c.kind, ConKind::ForeignKey { .. })) {
        let has = |k: &Constraint| {
            let one = |c: &Constraint| Constraint { name: String::new(), inherited: false, ..c.clone() };
            s.before.constraint_definition(&one(k), false) == s.before.constraint_definition(&one(c), false)
        };
        if !rel.constraints.iter().any(has) {
            return Err(format!(
                "`{}` has no foreign key like `{}` of `{}`: every row would be looked up under a lock; add it to the table first, NOT VALID and then VALIDATE",
                rel.name, c.name, parent.name
            ));
        }
    }
    let mut proofs = Vec::new();
    // The only partition may be the default one: it takes everything.
    let alone = *bound == PartitionBound::Default && s.before.children_of(parent.id).is_empty();
    if !alone {
        let condition = match bound {
            PartitionBound::Default => s.before.default_condition(parent.id),
            _ => s.after.partition_condition(rel.id),
        };
        let condition = condition.ok_or("what the bounds of the partition say is not known")?;
        let proof = Proof::of(rel, condition);
        out.extend(proof.steps(phase, "that lies outside of the bounds"));
        proofs.push(proof);
    }
    if let Some(proof) = beside_default(s, parent, bound, rel.id)? {
        let mut steps = proof.steps(phase, &format!("that belongs into `{}`", rel.name));
        steps[0].checklist.push(refused_meanwhile(&proof.table, &rel.name));
        out.extend(steps);
        proofs.push(proof);
    }
    let detach = format!("ALTER TABLE {} DETACH PARTITION {}", table(parent), table(rel));
    let again = proofs.iter().flat_map(|p| p.again());
    out.push(StandingStep {
        phase: Some(phase),
        id: slug(&["attach", &rel.name]),
        title: format!("`{}` becomes a partition of `{}`: no row is read", rel.name, parent.name),
        statements: std::iter::once(s.words.clone()).chain(proofs.iter().map(Proof::drop)).collect(),
        undo: std::iter::once(detach).chain(again).collect(),
        // What was written through the table above stays in this one, where N-1 does not look for it.
        undo_verdict: Undo::LosesData,
        except: keys
            .iter()
            .flat_map(|_| ["upsert-primary-key", "upsert-columns", "upsert-constraint"])
            .map(|shape| format!("{shape} on {}", rel.rel_name()))
            .collect(),
        checklist: vec![format!(
            "From the soft contract on, `{}` shows the rows of `{}` too, and `{1}` takes no row outside of its bounds.",
            parent.name, rel.name
        )],
        ..StandingStep::default()
    });
    Ok(out)
}

/// Statements that may write a row outside of the bounds.
const WRITES: [&str; 8] = [
    "insert-full",
    "insert-minimal",
    "insert-returning-star",
    "upsert-primary-key",
    "upsert-columns",
    "upsert-constraint",
    "copy-columns",
    "update",
];

/// DETACH PARTITION: who reads the partitioned table misses its rows from then on, so it waits until N-1 is gone. A CHECK says what the bounds
/// said while it happens: with it, the way back reads no row under a lock.
pub fn detach(s: &Standing<'_>, parent: &QName, part: &QName) -> Option<Result<Vec<StandingStep>, String>> {
    let (parent, rel) = (s.before.relation_by(parent)?, s.before.relation_by(part)?);
    s.script.before.relation(rel.id)?;
    Some(detached(s, parent, rel))
}

fn detached(s: &Standing<'_>, parent: &Relation, rel: &Relation) -> Result<Vec<StandingStep>, String> {
    if let Some((other, c)) = s.before.foreign_keys_reaching(parent.id).first() {
        return Err(format!(
            "`{}` of `{}` refers to `{}`: every row of it would be looked up under a lock to see that none refers to `{}`",
            c.name, other.name, parent.name, rel.name
        ));
    }
    let phase = PhaseKind::ContractSoft;
    let Some(bound) = &rel.partition_bound else { return Err(format!("`{}` is no partition", rel.name)) };
    let children = s.before.children_of(parent.id);
    let default = children.iter().filter_map(|c| s.before.relation(*c)).any(|r| r.partition_bound == Some(PartitionBound::Default));
    let proof = s.before.partition_condition(rel.id).filter(|_| rel.partition_by.is_none()).map(|c| Proof::of(rel, c));
    let mut out = Vec::new();
    if let Some(proof) = &proof {
        let [mut add, validate] = proof.steps(phase, "that lies outside of the bounds");
        add.preconditions.clear();
        add.title = format!("A CHECK of `{}` says what its bounds say: with it, the way back reads nothing", rel.name);
        out.extend([add, validate]);
    }
    let concurrently = !default;
    let attach = format!("ALTER TABLE {} ATTACH PARTITION {} {}", table(parent), table(rel), bound_sql(bound));
    let detach = |how: &str| format!("ALTER TABLE {} DETACH PARTITION {}{how}", table(parent), table(rel));
    out.push(StandingStep {
        phase: Some(phase),
        id: slug(&["detach", &rel.name]),
        title: format!("`{}` is no part of `{}` any more", rel.name, parent.name),
        statements: vec![detach(if concurrently { " CONCURRENTLY" } else { "" })],
        undo: vec![attach],
        transaction: !concurrently,
        except: WRITES.map(|shape| format!("{shape} on {}", rel.rel_name())).into(),
        checklist: vec![format!(
            "From the soft contract on, `{}` is without the rows of `{}`: release N reads them there, and writes none of them through `{0}`. Until then `{1}` takes no row outside of its bounds.",
            parent.name, rel.name
        )],
        ..StandingStep::default()
    });
    if let Some(proof) = proof {
        out.push(StandingStep {
            phase: Some(phase),
            id: slug(&["unbound", &rel.name]),
            title: format!("`{}` may hold any row", rel.name),
            statements: vec![proof.drop()],
            undo: proof.again().to_vec(),
            undo_alone: true,
            undo_verdict: Undo::BlockedByData,
            ..StandingStep::default()
        });
    }
    Ok(out)
}

/// Old readers miss rows, or old writers a value: safe in the eyes of every single statement, and not for those who rely on it.
pub fn takes_away(action: &AlterAction) -> bool {
    matches!(action, AlterAction::DetachPartition { .. } | AlterAction::DropExpression { .. })
}
