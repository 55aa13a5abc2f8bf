//! What hangs on relations: triggers, policies, rewrite rules.

use crate::op::{CreatePolicy, CreateTrigger, Expr, Name, QName, TriggerMode, WhichTrigger};

use super::apply::{Applied, Res, fails};
use super::names::clip;
use super::{Catalog, Id, Policy, RelKind, Rule, Trigger};

impl Catalog {
    pub(super) fn create_trigger(&mut self, t: &CreateTrigger) -> Res<Applied> {
        let id = self.need_relation(&t.table)?;
        let Some(rel) = self.shared(id) else { return Ok(Applied::default()) };
        let name = clip(t.name.as_str());
        let view = rel.kind == RelKind::View;
        if !rel.assumed {
            match (t.timing.as_str(), rel.kind) {
                (_, RelKind::Table | RelKind::PartitionedTable | RelKind::ForeignTable) if t.timing == "INSTEAD OF" => {
                    return Err(fails("42809", format!("\"{}\" is a table", rel.name)));
                }
                ("BEFORE" | "AFTER", RelKind::View) if t.for_each_row => {
                    return Err(fails("42809", format!("\"{}\" is a view", rel.name)));
                }
                (_, RelKind::Table | RelKind::PartitionedTable | RelKind::ForeignTable | RelKind::View) => {}
                _ => return Err(fails("42809", format!("relation \"{}\" cannot have triggers", rel.name))),
            }
        }
        let mut update_of = Vec::new();
        for c in &t.update_of {
            let c = clip(c.as_str());
            if rel.column(&c).is_none() && !rel.assumed {
                return Err(fails("42703", format!("column \"{c}\" of relation \"{}\" does not exist", rel.name)));
            }
            update_of.push(c);
        }
        let function_id = self.trigger_function(&t.function)?;
        let function = match function_id.and_then(|f| self.functions.get(&f)) {
            Some(f) => format!("{}.{}", f.schema, f.name),
            None => t.function.to_string(),
        };
        let trigger = Trigger {
            name: name.clone(),
            function,
            function_id,
            timing: t.timing.clone(),
            events: t.events.clone(),
            update_of,
            for_each_row: t.for_each_row,
            when: t.when.clone(),
            constraint: t.constraint,
            deferrable: t.deferrable,
            initially_deferred: t.initially_deferred,
            transition_tables: t.transition_tables.iter().map(|(new, n)| (*new, clip(n.as_str()))).collect(),
            args: t.args.clone(),
            inherited: false,
            mode: TriggerMode::Enable,
            origin: self.now,
            comment: None,
        };
        if rel.triggers.iter().any(|o| o.name == name) {
            if !t.or_replace {
                return Err(fails("42710", format!("trigger \"{name}\" for relation \"{}\" already exists", rel.name)));
            }
            self.edit(id, |r| r.triggers.iter_mut().filter(|o| o.name == name).for_each(|o| *o = trigger.clone()));
        } else {
            self.edit(id, |r| r.triggers.push(trigger.clone()));
        }
        if t.for_each_row && !view {
            for child in self.children_of(id) {
                if self.relation(child).is_some_and(super::Relation::is_partition) {
                    self.clone_trigger(child, &trigger);
                }
            }
        }
        Ok(Applied::default())
    }

    pub(super) fn clone_trigger(&mut self, partition: Id, t: &Trigger) {
        let copy = Trigger { inherited: true, origin: self.now, comment: None, ..t.clone() };
        self.edit(partition, |r| {
            r.triggers.retain(|o| o.name != copy.name);
            r.triggers.push(copy);
        });
        for child in self.children_of(partition) {
            self.clone_trigger(child, t);
        }
    }

    fn trigger_function(&self, name: &QName) -> Res<Option<Id>> {
        let found = self.functions_named(name).into_iter().find(|id| self.functions.get(id).is_some_and(|f| f.arg_types.is_empty()));
        if let Some(id) = found {
            let returns = self.functions.get(&id).map(|f| f.returns.clone()).unwrap_or_default();
            if !matches!(returns.as_str(), "trigger" | "opaque") {
                return Err(fails("42P17", format!("function {} must return type trigger", name.as_str())));
            }
            return Ok(Some(id));
        }
        const BUILTIN: [&str; 4] =
            ["suppress_redundant_updates_trigger", "tsvector_update_trigger", "tsvector_update_trigger_column", "pg_get_triggerdef"];
        // moddatetime, autoinc, set_timestamp and the like come with extensions.
        let doubt = BUILTIN.contains(&name.as_str())
            || self.objects_of(crate::op::ObjectKind::Extension).next().is_some()
            || super::resolve::is_system_name(name);
        if self.complete && !doubt {
            return Err(fails("42883", format!("function {name}() does not exist")));
        }
        Ok(None)
    }

    pub(super) fn set_trigger_mode(&mut self, id: Id, which: &WhichTrigger, mode: TriggerMode) -> Res<()> {
        if let WhichTrigger::Named(n) = which {
            let n = clip(n.as_str());
            if let Some(rel) = self.relation(id)
                && !rel.assumed
                && !rel.triggers.iter().any(|t| t.name == n)
            {
                return Err(fails("42704", format!("trigger \"{n}\" for table \"{}\" does not exist", rel.name)));
            }
            for r in self.with_descendants(id, false) {
                self.edit(r, |r| r.triggers.iter_mut().filter(|t| t.name == n).for_each(|t| t.mode = mode));
            }
            return Ok(());
        }
        self.edit(id, |r| r.triggers.iter_mut().for_each(|t| t.mode = mode));
        Ok(())
    }

    pub(super) fn create_policy(&mut self, p: &CreatePolicy) -> Res<Applied> {
        let id = self.need_relation(&p.table)?;
        let Some(rel) = self.shared(id) else { return Ok(Applied::default()) };
        if !rel.kind.is_table() && !rel.assumed {
            return Err(fails("42809", format!("\"{}\" is not a table", rel.name)));
        }
        let name = clip(p.name.as_str());
        if rel.policies.iter().any(|o| o.name == name) {
            return Err(fails("42710", format!("policy \"{name}\" for table \"{}\" already exists", rel.name)));
        }
        let mut uses = Vec::new();
        for e in p.using.iter().chain(&p.with_check) {
            self.columns_in(e, &rel)?;
            uses.extend(self.policy_uses(e, id));
        }
        let policy = Policy {
            name,
            permissive: p.permissive,
            command: p.command.clone(),
            roles: p.roles.clone(),
            using: p.using.clone(),
            with_check: p.with_check.clone(),
            uses,
            origin: self.now,
            comment: None,
        };
        self.edit(id, |r| r.policies.push(policy));
        Ok(Applied::default())
    }

    /// Functions and types of the expression, and the relations that its subqueries read.
    fn policy_uses(&self, e: &Expr, own: Id) -> Vec<Id> {
        let mut out = self.uses_of(e);
        e.walk(&mut |e| {
            if let crate::op::ExprKind::Subquery(q) = &e.kind {
                out.extend(q.relations().into_iter().filter_map(|r| self.resolve(r)).filter(|id| *id != own));
            }
        });
        out
    }

    pub(super) fn alter_policy(
        &mut self,
        name: &Name,
        table: &QName,
        roles: &[String],
        using: Option<&Expr>,
        with_check: Option<&Expr>,
    ) -> Res<Applied> {
        let id = self.need_relation(table)?;
        let name = clip(name.as_str());
        let Some(rel) = self.shared(id) else { return Ok(Applied::default()) };
        let Some(old) = rel.policies.iter().find(|p| p.name == name) else {
            if rel.assumed {
                return Ok(Applied::default());
            }
            return Err(fails("42704", format!("policy \"{name}\" for table \"{}\" does not exist", rel.name)));
        };
        let mut new = old.clone();
        if !roles.is_empty() {
            new.roles = roles.to_vec();
        }
        for e in using.iter().chain(&with_check) {
            self.columns_in(e, &rel)?;
        }
        if using.is_some() {
            new.using = using.cloned();
        }
        if with_check.is_some() {
            new.with_check = with_check.cloned();
        }
        new.uses = new.using.iter().chain(&new.with_check).flat_map(|e| self.policy_uses(e, id)).collect();
        self.edit(id, |r| r.policies.iter_mut().filter(|p| p.name == name).for_each(|p| *p = new.clone()));
        Ok(Applied::default())
    }

    pub(super) fn create_rule(&mut self, name: &Name, table: &QName, event: &str, instead: bool, or_replace: bool) -> Res<Applied> {
        let id = self.need_relation(table)?;
        let Some(rel) = self.relation(id) else { return Ok(Applied::default()) };
        let name = clip(name.as_str());
        let there = rel.rules.iter().any(|r| r.name == name);
        if there && !or_replace {
            return Err(fails("42710", format!("rule \"{name}\" for relation \"{}\" already exists", rel.name)));
        }
        let rule = Rule { name, event: event.to_string(), instead, mode: TriggerMode::Enable, comment: None };
        self.edit(id, |r| {
            r.rules.retain(|o| o.name != rule.name);
            r.rules.push(rule);
        });
        Ok(Applied::default())
    }
}
