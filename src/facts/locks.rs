//! Facts about waiting: bounds on it, what is held meanwhile, and the tables that are locked beside the one that is named.

use crate::catalog::{ConKind, Relation};
use crate::op::{AlterAction, ObjectKind, Op, OpKind, PartitionBound, SetScope, TriggerMode, WhichTrigger};

use super::collect::{Place, existed, is_old};
use super::{Facts, Value};

/// The settings that bound a wait, as they are when the statement starts: the script's own, else the runner's.
pub fn bounds(place: &Place<'_>, f: &mut Facts) {
    let bound = |name: &str| setting(place, name).and_then(milliseconds).filter(|ms| *ms > 0);
    let lock = bound("lock_timeout");
    f.flag("lock_timeout", lock.is_some());
    if let Some(ms) = lock {
        f.set("lock_timeout.ms", Value::Number(ms));
    }
    f.flag("statement_timeout", bound("statement_timeout").is_some());
    f.flag("idle_timeout", bound("idle_in_transaction_session_timeout").or_else(|| bound("transaction_timeout")).is_some());
}

fn setting<'p>(place: &'p Place<'_>, name: &str) -> Option<&'p str> {
    let own = place.r.before.settings.get(name).map(|s| s.value.as_str());
    own.or_else(|| place.script.execution.settings.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()))
}

/// A time as Postgres reads it: `2s`, `'500ms'`, `5000` (milliseconds).
pub fn milliseconds(text: &str) -> Option<i64> {
    let text = text.trim().trim_matches('\'').trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let unit = match unit.trim() {
        "" | "ms" => 1.0,
        "us" => 0.001,
        "s" => 1_000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    // Postgres rounds to whole milliseconds; less than one is still a bound when it is not zero.
    Some((number * unit).round() as i64)
}

/// The first strong lock of the file that nothing bounds: one finding a file is enough to say it. `true`: it was met.
#[derive(Default)]
pub struct First {
    unbounded: bool,
    without_statement_timeout: bool,
    without_idle_timeout: bool,
    bounded: bool,
}

impl First {
    /// To be called with the facts in their order.
    pub fn mark(&mut self, f: &mut Facts) {
        let yes = |f: &Facts, name: &str| f.get(name) == Some(&Value::Bool(true));
        if !yes(f, "blocks.writes") {
            return;
        }
        let idle = yes(f, "idle_timeout") || !yes(f, "in_transaction");
        let cases = [
            (&mut self.unbounded, "lock.first_unbounded", !yes(f, "lock_timeout")),
            (&mut self.without_statement_timeout, "lock.first_without_statement_timeout", !yes(f, "statement_timeout")),
            (&mut self.without_idle_timeout, "lock.first_without_idle_timeout", !idle),
            (&mut self.bounded, "lock.first_bounded", f.get("lock_timeout.ms").is_some()),
        ];
        for (met, name, here) in cases {
            if here && !std::mem::replace(met, true) {
                f.flag(name, true);
            }
        }
    }
}

/// Facts of the statement as a whole.
pub fn statement(place: &Place<'_>, f: &mut Facts) {
    if let Some((_, table, n)) = place.whole.passes.iter().find(|(at, ..)| *at == place.at) {
        f.text("table", table.as_str());
        f.set("table.passes", Value::Number(*n));
        f.object.clone_from(table);
    }
}

pub fn about(place: &Place<'_>, f: &mut Facts, i: usize, op: &Op) {
    f.set("held", Value::List(place.held.to_vec()));
    let known = |f: &Facts, name: &str| matches!(f.get(name), Some(Value::List(l)) if !l.is_empty());
    f.flag("slow", known(f, "scans") || known(f, "rewrites") || known(f, "builds"));
    if let Some((_, tables)) = place.whole.several_foreign_keys.iter().find(|(at, _)| *at == (place.at, i)) {
        f.set("foreign_keys.tables", Value::List(tables.clone()));
    }
    let concurrently = match &op.kind {
        OpKind::CreateIndex(i) => i.concurrently,
        OpKind::Drop { concurrently, .. } | OpKind::Reindex { concurrently, .. } => *concurrently,
        OpKind::Alter { action: AlterAction::DetachPartition { concurrently, .. }, .. } => *concurrently,
        _ => false,
    };
    f.flag("concurrently", concurrently);
    relation_kind(place, f, op);
    parents(place, f, op);
    match &op.kind {
        OpKind::SetVar { scope, name, value } => {
            f.text("setting", name.as_str());
            f.flag("setting.local", *scope == SetScope::Local);
            f.flag("setting.ineffective", *scope == SetScope::Local && !place.r.sent.in_transaction && !op.nested);
            let waits = |r: &crate::replay::Replayed| {
                r.effects.locks.iter().any(|(n, m)| m.blocks_writes() && existed(place.script, r, &n.schema, &n.name))
            };
            f.flag("setting.locks_follow", place.script.statements.iter().skip(place.at + 1).any(waits));
            if let Some(v) = value {
                f.text("setting.value", v.text.trim_matches('\''));
                if let Some(ms) = milliseconds(&v.text) {
                    f.set("setting.ms", Value::Number(ms));
                }
            }
        }
        OpKind::Alter { target, action } => match action {
            AlterAction::AttachPartition { partition, bound } => {
                f.text("partition", partition.to_string());
                if let Some(p) = place.relation(partition) {
                    f.flag("partition.existed", is_old(place.script, p));
                    let name = p.rel_name();
                    f.flag("partition.scanned", place.r.effects.scans.contains(&name) && is_old(place.script, p));
                }
                if *bound != PartitionBound::Default {
                    default_partition(place, f, place.relation(&target.name));
                }
            }
            AlterAction::DetachPartition { partition, concurrently, finalize } => {
                f.text("partition", partition.to_string());
                f.flag("partition.concurrently", *concurrently || *finalize);
                default_partition(place, f, place.relation(&target.name));
            }
            AlterAction::Trigger { which, mode } => {
                let which = match which {
                    WhichTrigger::All => "ALL",
                    WhichTrigger::User => "USER",
                    WhichTrigger::Named(n) => n.as_str(),
                };
                f.text("trigger", which);
                f.text("trigger.mode", if *mode == TriggerMode::Disable { "disable" } else { "enable" });
            }
            _ => {}
        },
        OpKind::CreateTable(t) => {
            if let Some((parent, bound)) = &t.partition_of {
                f.text("partition.of", parent.to_string());
                let rel = place.r.before.relation_by(parent);
                f.flag("partition.of_existed", rel.is_none_or(|r| is_old(place.script, r)));
                if *bound != PartitionBound::Default {
                    default_partition(place, f, rel);
                }
            }
        }
        OpKind::CreateTrigger(t) => f.text("trigger", t.name.as_str()),
        OpKind::CreateRule { table, .. } | OpKind::AlterPolicy { table, .. } => place.table(f, table),
        OpKind::AlterDomain { name, .. } => {
            f.text("object", name.to_string());
            f.object = name.to_string();
        }
        OpKind::Reindex { name: Some(n), .. } => {
            f.text("object", n.to_string());
            f.object = n.to_string();
        }
        OpKind::Drop { objects, .. } => {
            if let Some(o) = objects.first().filter(|o| o.kind == ObjectKind::Trigger) {
                f.text("trigger", o.name.to_string());
            }
        }
        _ => {}
    }
}

/// The default partition of a table, when it was there before and is read for a new bound.
fn default_partition(place: &Place<'_>, f: &mut Facts, parent: Option<&Relation>) {
    let Some(parent) = parent else { return };
    let before = &place.r.before;
    let default = before
        .children_of(parent.id)
        .into_iter()
        .filter_map(|c| before.relation(c))
        .find(|r| r.partition_bound == Some(PartitionBound::Default) && is_old(place.script, r));
    if let Some(d) = default {
        f.text("default_partition", d.rel_name().to_string());
        f.flag("default_partition.scanned", place.r.effects.scans.contains(&d.rel_name()));
    }
}

fn relation_kind(place: &Place<'_>, f: &mut Facts, op: &Op) {
    let name = match &op.kind {
        OpKind::Alter { target, .. } => &target.name,
        OpKind::CreateIndex(i) => &i.table,
        OpKind::CreateView(v) => {
            // What is replaced, not what is made.
            if let Some(r) = place.r.before.relation_by(&v.name) {
                f.flag("replaces", v.or_replace);
                f.text("relation.kind", r.kind.to_string().replace('_', " "));
            }
            return;
        }
        OpKind::Drop { objects, .. } => match objects.first() {
            Some(o) => o.on.as_ref().unwrap_or(&o.name),
            None => return,
        },
        _ => return,
    };
    if let Some(r) = place.relation(name) {
        f.text("relation.kind", r.kind.to_string().replace('_', " "));
        // ALTER TABLE renames indexes, views and sequences too: it is about what is renamed, not about the word.
        if let OpKind::Alter { target, action: AlterAction::RenameTo { .. } } = &op.kind
            && target.kind == ObjectKind::Table
            && !r.kind.is_table()
        {
            let kind = if r.kind.is_index() { "index".to_string() } else { r.kind.to_string().replace('_', "-") };
            f.text("op", format!("rename-{kind}"));
        }
    }
}

/// Tables at the other end of foreign keys that are made or dropped: they are locked too.
fn parents(place: &Place<'_>, f: &mut Facts, op: &Op) {
    let before = &place.r.before;
    let mut out: Vec<String> = Vec::new();
    let mut add = |r: &Relation| {
        let name = r.rel_name().to_string();
        if is_old(place.script, r) && !out.contains(&name) {
            out.push(name);
        }
    };
    match &op.kind {
        OpKind::CreateTable(t) => {
            let already = t.if_not_exists && before.relation_by(&t.name).is_some();
            for (_, fk) in super::whole::foreign_keys_of(&op.kind).into_iter().filter(|_| !already) {
                before.relation_by(&fk.table).into_iter().for_each(&mut add);
            }
        }
        OpKind::Alter { target, action } => {
            let Some(rel) = before.relation_by(&target.name) else { return };
            let gone = |c: &&crate::catalog::Constraint| match action {
                AlterAction::DropConstraint { name, .. } => c.name == name.as_str(),
                AlterAction::DropColumn { column, .. } => c.kind.columns().iter().any(|n| n == column.as_str()),
                _ => false,
            };
            for c in rel.constraints.iter().filter(gone) {
                if let ConKind::ForeignKey { table, .. } = &c.kind
                    && *table != rel.id
                {
                    before.relation(*table).into_iter().for_each(&mut add);
                }
            }
        }
        OpKind::Drop { objects, .. } => {
            for rel in objects.iter().filter(|o| o.kind == ObjectKind::Table).filter_map(|o| before.relation_by(&o.name)) {
                for c in &rel.constraints {
                    if let ConKind::ForeignKey { table, .. } = &c.kind
                        && *table != rel.id
                    {
                        before.relation(*table).into_iter().for_each(&mut add);
                    }
                }
            }
        }
        _ => {}
    }
    f.set("locks.parents", Value::List(out));
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn times_are_read_as_postgres_reads_them() {
        for (text, ms) in
            [("'2s'", 2000), ("500", 500), ("'1min'", 60_000), ("'1.5 s'", 1500), ("0", 0), ("'250ms'", 250), ("'1h'", 3_600_000)]
        {
            assert_eq!(milliseconds(text), Some(ms), "{text}");
        }
        assert_eq!(milliseconds("DEFAULT"), None);
        assert_eq!(milliseconds("'5 parsecs'"), None);
    }
}
