//! DROP: what goes along by itself, what is in the way, what CASCADE takes.

use std::collections::HashMap;

use crate::op::{ObjectKind, ObjectRef, QName};

use super::apply::{Applied, ApplyError, Res, fails};
use super::names::clip;
use super::resolve::is_system_name;
use super::{Catalog, ConKind, Id, RelKind, Relation, TypeKind};

/// Something with dependents. Columns and what is named within a relation carry their name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Obj {
    Relation(Id),
    Column(Id, String),
    /// The default or generation expression only.
    Default(Id, String),
    Constraint(Id, String),
    Trigger(Id, String),
    Policy(Id, String),
    Type(Id),
    Function(Id),
}

/// Goes along with what it depends on, or stands in its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tie {
    Auto,
    Normal,
}

impl Catalog {
    pub(super) fn drop_objects(&mut self, objects: &[ObjectRef], if_exists: bool, cascade: bool) -> Res<Applied> {
        let mut applied = Applied::default();
        let mut roots = Vec::new();
        let mut schemas = Vec::new();
        for o in objects {
            if o.kind == ObjectKind::Schema {
                schemas.push(o);
                continue;
            }
            match self.find_root(o) {
                Ok(Some(root)) => roots.push(root),
                Ok(None) => {
                    if !self.forget_object(o) {
                        applied.skipped = true;
                        if !if_exists
                            && self.complete
                            && !matches!(o.kind, ObjectKind::Role | ObjectKind::Database | ObjectKind::Tablespace)
                        {
                            return Err(self.no_object(o));
                        }
                    }
                }
                // IF EXISTS also forgives a missing table of a trigger, or a missing schema.
                Err(e) if if_exists && matches!(e.sqlstate, "42P01" | "42704" | "3F000" | "42883" | "42703") => applied.skipped = true,
                Err(e) => return Err(e),
            }
        }
        if !roots.is_empty() {
            applied.dropped.extend(self.drop_all(roots, cascade)?);
        }
        for o in schemas {
            match self.drop_schema(o.name.as_str(), if_exists, cascade)? {
                Some(ids) => applied.dropped.extend(ids),
                None => applied.skipped = true,
            }
        }
        Ok(applied)
    }

    /// `Ok(None)`: not an object with an identity here.
    fn find_root(&self, o: &ObjectRef) -> Res<Option<Obj>> {
        use ObjectKind::*;
        let missing = || -> ApplyError { self.no_object(o) };
        Ok(Some(match o.kind {
            Table | View | MaterializedView | Index | Sequence | ForeignTable => {
                let Some(id) = self.resolve(&o.name) else { return if self.complete { Err(missing()) } else { Ok(None) } };
                if let Some(rel) = self.relation(id) {
                    right_kind(o.kind, rel)?;
                    self.may_drop(rel)?;
                }
                Obj::Relation(id)
            }
            Type | Domain => {
                let Some(id) = self.type_id(&o.name) else { return if self.complete { Err(missing()) } else { Ok(None) } };
                if let Some(extension) = self.extension_of(id) {
                    let message = format!("cannot drop type {} because extension {extension} requires it", o.name);
                    return Err(fails("2BP01", message));
                }
                match self.types.get(&id).map(|t| &t.kind) {
                    Some(TypeKind::Domain { .. }) | None if o.kind == Type && self.relations.contains_key(&id) => match self.relation(id) {
                        Some(r) if r.kind == RelKind::Composite => Obj::Relation(id),
                        Some(r) => {
                            return Err(fails("2BP01", format!("cannot drop type {} because table {} requires it", r.name, r.name)));
                        }
                        None => return Ok(None),
                    },
                    Some(k) if o.kind == Domain && !matches!(k, TypeKind::Domain { .. }) => {
                        return Err(fails("42809", format!("\"{}\" is not a domain", o.name)));
                    }
                    _ => Obj::Type(id),
                }
            }
            Function | Procedure | Routine | Aggregate => match self.find_function(o)? {
                Some(id) => Obj::Function(id),
                None => return Ok(None),
            },
            Trigger | Policy | Rule | Constraint => {
                let Some(on) = &o.on else { return Ok(None) };
                let Some(id) = self.resolve(on) else { return if self.complete { Err(self.no_relation_or_schema(on)) } else { Ok(None) } };
                let name = clip(o.name.as_str());
                let Some(rel) = self.relation(id) else { return Ok(None) };
                let there = match o.kind {
                    Trigger => rel.triggers.iter().any(|t| t.name == name),
                    Policy => rel.policies.iter().any(|p| p.name == name),
                    Constraint => rel.constraint(&name).is_some(),
                    _ => return if rel.rules.iter().any(|r| r.name == name) || rel.assumed { Ok(None) } else { Err(missing()) },
                };
                if !there {
                    return if rel.assumed { Ok(None) } else { Err(missing()) };
                }
                match o.kind {
                    Trigger if rel.triggers.iter().any(|t| t.name == name && t.inherited) => {
                        let message = format!("cannot drop trigger {name} on table {} because the table above requires it", rel.name);
                        return Err(fails("2BP01", message));
                    }
                    Trigger => Obj::Trigger(id, name),
                    Policy => Obj::Policy(id, name),
                    _ => Obj::Constraint(id, name),
                }
            }
            _ => return Ok(None),
        }))
    }

    /// What may not be dropped by itself whatever CASCADE says.
    fn may_drop(&self, rel: &Relation) -> Res<()> {
        if let Some(i) = &rel.index {
            let table = self.relation(i.table);
            if let Some(c) = table.and_then(|t| t.constraints.iter().find(|c| c.kind.index() == Some(rel.id))) {
                let table = table.map_or("", |t| t.name.as_str());
                let message = format!("cannot drop index {} because constraint {} on table {table} requires it", rel.name, c.name);
                return Err(fails("2BP01", message));
            }
            if let Some(parent) = i.parent.and_then(|p| self.relation(p)) {
                let message = format!("cannot drop index {} because index {} requires it", rel.name, parent.name);
                return Err(fails("2BP01", message));
            }
        }
        if let Some(s) = rel.sequence.as_ref().filter(|s| s.identity)
            && let Some((table, column)) = &s.owned_by
        {
            let table = self.relation(*table).map_or("", |t| t.name.as_str());
            let message = format!("cannot drop sequence {} because column {column} of table {table} requires it", rel.name);
            return Err(fails("2BP01", message));
        }
        Ok(())
    }

    /// The words for an object that is not there.
    pub(super) fn no_object(&self, o: &ObjectRef) -> ApplyError {
        use ObjectKind::*;
        if let Some(e) = self.no_schema(&o.name).filter(|_| o.on.is_none()) {
            return e;
        }
        let on = o.on.as_ref().map(QName::as_str).unwrap_or_default();
        let name = clip(o.name.as_str());
        let (state, message) = match o.kind {
            Table | ForeignTable => ("42P01", format!("table \"{name}\" does not exist")),
            View => ("42P01", format!("view \"{name}\" does not exist")),
            MaterializedView => ("42P01", format!("materialized view \"{name}\" does not exist")),
            Sequence => ("42P01", format!("sequence \"{name}\" does not exist")),
            Index => ("42704", format!("index \"{name}\" does not exist")),
            Type | Domain => ("42704", format!("type \"{}\" does not exist", o.name)),
            Function | Routine => ("42883", format!("could not find a function named \"{}\"", o.name)),
            Procedure => ("42883", format!("could not find a procedure named \"{}\"", o.name)),
            Aggregate => ("42883", format!("could not find an aggregate named \"{}\"", o.name)),
            Trigger => ("42704", format!("trigger \"{name}\" for table \"{on}\" does not exist")),
            Policy => ("42704", format!("policy \"{name}\" for table \"{on}\" does not exist")),
            Rule => ("42704", format!("rule \"{name}\" for relation \"{on}\" does not exist")),
            Constraint => ("42704", format!("constraint \"{name}\" of relation \"{on}\" does not exist")),
            Extension => ("42704", format!("extension \"{name}\" does not exist")),
            Schema => ("3F000", format!("schema \"{name}\" does not exist")),
            Statistics => ("42704", format!("statistics object \"{name}\" does not exist")),
            _ => ("42704", format!("{} \"{name}\" does not exist", o.kind.to_string().to_ascii_lowercase().replace('-', " "))),
        };
        let doubt = is_system_name(&o.name)
            || self.unknown_extension()
            || !matches!(
                o.kind,
                Table
                    | View
                    | MaterializedView
                    | Sequence
                    | Index
                    | Type
                    | Domain
                    | Function
                    | Procedure
                    | Trigger
                    | Policy
                    | Extension
                    | Schema
                    | Constraint
            );
        fails(state, message).unless(doubt)
    }

    fn drop_schema(&mut self, name: &str, if_exists: bool, cascade: bool) -> Res<Option<Vec<Id>>> {
        let name = clip(name);
        if !self.schemas.contains_key(&name) {
            if if_exists || !self.complete {
                return Ok(None);
            }
            return Err(fails("3F000", format!("schema \"{name}\" does not exist")));
        }
        let mut roots: Vec<Obj> = Vec::new();
        roots.extend(self.relations.values().filter(|r| r.schema == name).map(|r| Obj::Relation(r.id)));
        roots.extend(self.types.values().filter(|t| t.schema == name).map(|t| Obj::Type(t.id)));
        roots.extend(self.functions.values().filter(|f| f.schema == name).map(|f| Obj::Function(f.id)));
        let named: Vec<_> = self.objects.iter().filter(|((_, s, _), _)| *s == name).map(|(k, _)| k.clone()).collect();
        if !cascade && (!roots.is_empty() || named.iter().any(|(k, ..)| *k != ObjectKind::Extension)) {
            return Err(fails("2BP01", format!("cannot drop schema {name} because other objects depend on it")));
        }
        let dropped = if roots.is_empty() { Vec::new() } else { self.drop_all(roots, true)? };
        for key in named {
            self.objects.remove(&key);
        }
        self.schemas.remove(&name);
        Ok(Some(dropped))
    }

    /// Drops the objects with all that hangs on them; without CASCADE an error when anything does that does not go by itself.
    pub(super) fn drop_all(&mut self, roots: Vec<Obj>, cascade: bool) -> Res<Vec<Id>> {
        // Object → it goes by itself.
        let mut found: HashMap<Obj, bool> = HashMap::new();
        let mut order: Vec<Obj> = Vec::new();
        let single = if roots.len() == 1 { self.describe(&roots[0]) } else { None };
        let mut queue: Vec<Obj> = roots.clone();
        for r in &roots {
            found.insert(r.clone(), true);
            order.push(r.clone());
        }
        while let Some(o) = queue.pop() {
            for (dependent, tie) in self.ties(&o) {
                match found.get_mut(&dependent) {
                    Some(by_itself) => *by_itself |= tie == Tie::Auto,
                    None => {
                        found.insert(dependent.clone(), tie == Tie::Auto);
                        order.push(dependent.clone());
                        queue.push(dependent);
                    }
                }
            }
        }
        // What is inside a relation that goes is gone with it.
        let inside = |o: &Obj| match o {
            Obj::Column(id, _) | Obj::Default(id, _) | Obj::Constraint(id, _) | Obj::Trigger(id, _) | Obj::Policy(id, _) => {
                found.contains_key(&Obj::Relation(*id)) && found[&Obj::Relation(*id)]
            }
            _ => false,
        };
        // Part of a column that goes too.
        let column_goes = |o: &Obj| match o {
            Obj::Default(id, c) => found.get(&Obj::Column(*id, c.clone())).copied().unwrap_or(false),
            _ => false,
        };
        if !cascade && order.iter().any(|o| !found[o] && !inside(o) && !column_goes(o)) {
            return Err(fails(
                "2BP01",
                match single {
                    Some(what) => format!("cannot drop {what} because other objects depend on it"),
                    None => "cannot drop desired object(s) because other objects depend on them".to_string(),
                },
            ));
        }
        let mut dropped = Vec::new();
        for o in order.iter().filter(|o| !inside(o)) {
            self.remove_part(o);
        }
        for o in &order {
            match o {
                Obj::Relation(id) => {
                    self.remove_statistics(*id, None);
                    self.remove_relation(*id);
                    dropped.push(*id);
                }
                Obj::Type(id) => {
                    self.remove_type(*id);
                    dropped.push(*id);
                }
                Obj::Function(id) => {
                    self.remove_function(*id);
                    dropped.push(*id);
                }
                _ => {}
            }
        }
        Ok(dropped)
    }

    /// Takes a part out of the relation that stays.
    fn remove_part(&mut self, o: &Obj) {
        match o {
            Obj::Column(id, name) => {
                self.remove_statistics(*id, Some(name));
                self.edit(*id, |r| {
                    r.columns.retain(|c| c.name != *name);
                    // A NOT NULL is part of its column.
                    r.constraints.retain(|c| !matches!(&c.kind, ConKind::NotNull { column } if column == name));
                });
            }
            Obj::Default(id, name) => self.edit_column(*id, name, |c| {
                c.default = None;
                c.default_volatility = None;
                c.uses = Vec::new();
                c.serial = None;
            }),
            Obj::Constraint(id, name) => self.edit(*id, |r| r.constraints.retain(|c| c.name != *name)),
            Obj::Trigger(id, name) => {
                let gone = self.relation(*id).and_then(|r| r.triggers.iter().find(|t| t.name == *name).cloned());
                self.edit(*id, |r| r.triggers.retain(|t| t.name != *name));
                // A copy on a partition may have another name by now.
                let copy = |t: &super::Trigger| {
                    t.inherited
                        && gone.as_ref().is_some_and(|g| {
                            t.name == g.name
                                || t.origin <= g.origin && (&t.function, &t.timing, &t.events) == (&g.function, &g.timing, &g.events)
                        })
                };
                for child in self.descendants_of(*id) {
                    let there = self.relation(child).map(|r| r.triggers.as_slice()).unwrap_or_default();
                    let name = there.iter().find(|t| t.inherited && t.name == *name).or_else(|| there.iter().find(|t| copy(t)));
                    if let Some(name) = name.map(|t| t.name.clone()) {
                        self.edit(child, |r| r.triggers.retain(|t| t.name != name));
                    }
                }
            }
            Obj::Policy(id, name) => self.edit(*id, |r| r.policies.retain(|p| p.name != *name)),
            _ => {}
        }
    }

    fn remove_statistics(&mut self, table: Id, column: Option<&str>) {
        let gone: Vec<_> = self
            .objects_of(ObjectKind::Statistics)
            .filter(|o| o.relations.contains(&table) && column.is_none_or(|c| o.columns.iter().any(|x| x == c)))
            .map(|o| (o.kind, o.schema.clone(), o.name.clone()))
            .collect();
        for key in gone {
            self.objects.remove(&key);
        }
    }

    fn describe(&self, o: &Obj) -> Option<String> {
        Some(match o {
            Obj::Relation(id) => {
                let r = self.relation(*id)?;
                format!("{} {}", kind_word(r.kind), r.name)
            }
            Obj::Column(id, c) => format!("column {c} of table {}", self.relation(*id)?.name),
            Obj::Default(id, c) => format!("default value for column {c} of table {}", self.relation(*id)?.name),
            Obj::Constraint(id, c) => format!("constraint {c} on table {}", self.relation(*id)?.name),
            Obj::Trigger(id, t) => format!("trigger {t} on table {}", self.relation(*id)?.name),
            Obj::Policy(id, p) => format!("policy {p} on table {}", self.relation(*id)?.name),
            Obj::Type(id) => format!("type {}", self.types.get(id)?.name),
            Obj::Function(id) => {
                let f = self.functions.get(id)?;
                format!("function {}({})", f.name, f.arg_types.join(","))
            }
        })
    }

    /// What depends on the object directly.
    fn ties(&self, o: &Obj) -> Vec<(Obj, Tie)> {
        let mut out = Vec::new();
        match o {
            Obj::Relation(id) => self.ties_of_relation(*id, &mut out),
            Obj::Column(id, column) => self.ties_of_column(*id, column, &mut out),
            Obj::Constraint(id, name) => self.ties_of_constraint(*id, name, &mut out),
            Obj::Type(id) | Obj::Function(id) => self.ties_of_use(*id, &mut out),
            Obj::Default(id, column) => {
                // Dropping the expression of a generated column drops the column.
                if self.relation(*id).and_then(|r| r.column(column)).is_some_and(|c| c.generated.is_some()) {
                    out.push((Obj::Column(*id, column.clone()), Tie::Auto));
                }
            }
            Obj::Trigger(..) | Obj::Policy(..) => {}
        }
        out
    }

    fn ties_of_relation(&self, id: Id, out: &mut Vec<(Obj, Tie)>) {
        for r in self.referrers(id).filter_map(|r| self.relation(r)) {
            if r.parents.contains(&id) {
                out.push((Obj::Relation(r.id), if r.is_partition() { Tie::Auto } else { Tie::Normal }));
            }
            if r.index.as_ref().is_some_and(|i| i.table == id || i.parent == Some(id)) {
                out.push((Obj::Relation(r.id), Tie::Auto));
            }
            if r.sequence.as_ref().and_then(|s| s.owned_by.as_ref()).is_some_and(|(t, _)| *t == id) {
                out.push((Obj::Relation(r.id), Tie::Auto));
            }
            for c in &r.constraints {
                if matches!(&c.kind, ConKind::ForeignKey { table, .. } if *table == id) && r.id != id {
                    // The copy on a partition goes with the original.
                    out.push((Obj::Constraint(r.id, c.name.clone()), Tie::Normal));
                }
            }
        }
        // A foreign key to the table above guards the rows of a partition too, and goes as a whole.
        if self.relation(id).is_some_and(Relation::is_partition) {
            for (r, c) in self.foreign_keys_reaching(id) {
                if r.id != id && !(c.inherited && r.is_partition()) {
                    out.push((Obj::Constraint(r.id, c.name.clone()), Tie::Normal));
                }
            }
        }
        self.ties_of_use(id, out);
        // An index that backs a constraint takes the constraint along, for CASCADE from elsewhere.
        if let Some(i) = self.relation(id).and_then(|r| r.index.as_ref())
            && let Some(c) = self.constraint_of_index(i.table, id)
        {
            out.push((Obj::Constraint(i.table, c.name), Tie::Auto));
        }
    }

    /// Whatever names the sequence, type, function or row type: expressions, columns, views, signatures.
    fn ties_of_use(&self, id: Id, out: &mut Vec<(Obj, Tie)>) {
        for by in self.referrers(id) {
            if let Some(t) = self.types.get(&by) {
                out.push((Obj::Type(t.id), Tie::Normal));
            }
            if self.functions.contains_key(&by) {
                out.push((Obj::Function(by), Tie::Normal));
            }
            let Some(r) = self.relation(by) else { continue };
            if r.of_type == Some(id) {
                out.push((Obj::Relation(by), Tie::Normal));
            }
            for c in &r.columns {
                if c.ty.id == Some(id) {
                    out.push((Obj::Column(by, c.name.clone()), Tie::Normal));
                }
                if c.uses.contains(&id) {
                    out.push((Obj::Default(by, c.name.clone()), Tie::Normal));
                }
            }
            for c in r.constraints.iter().filter(|c| c.uses.contains(&id)) {
                out.push((Obj::Constraint(by, c.name.clone()), Tie::Normal));
            }
            for t in r.triggers.iter().filter(|t| t.function_id == Some(id)) {
                out.push((Obj::Trigger(by, t.name.clone()), Tie::Normal));
            }
            for p in r.policies.iter().filter(|p| p.uses.contains(&id)) {
                out.push((Obj::Policy(by, p.name.clone()), Tie::Normal));
            }
            if r.index.as_ref().is_some_and(|i| i.uses.contains(&id)) {
                out.push((Obj::Relation(by), Tie::Normal));
            }
            if let Some(v) = &r.view
                && (v.depends.iter().any(|(d, _)| *d == id) || v.functions.contains(&id) || v.types.contains(&id))
            {
                out.push((Obj::Relation(by), Tie::Normal));
            }
        }
    }

    fn ties_of_column(&self, id: Id, column: &str, out: &mut Vec<(Obj, Tie)>) {
        let Some(rel) = self.relation(id) else { return };
        let has = |v: &[String]| v.iter().any(|c| c == column);
        for r in self.referrers(id).filter_map(|r| self.relation(r)) {
            if r.index.as_ref().is_some_and(|i| i.table == id && has(&i.depends)) {
                out.push((Obj::Relation(r.id), Tie::Auto));
            }
            if r.sequence.as_ref().and_then(|s| s.owned_by.as_ref()).is_some_and(|(t, c)| *t == id && c == column) {
                out.push((Obj::Relation(r.id), Tie::Auto));
            }
            if r.view.as_ref().is_some_and(|v| v.depends.iter().any(|(d, columns)| *d == id && has(columns))) {
                out.push((Obj::Relation(r.id), Tie::Normal));
            }
            for c in &r.constraints {
                if matches!(&c.kind, ConKind::ForeignKey { table, ref_columns, .. } if *table == id && has(ref_columns)) {
                    out.push((Obj::Constraint(r.id, c.name.clone()), Tie::Normal));
                }
            }
        }
        for c in rel.constraints.iter().filter(|c| has(c.kind.columns()) && !matches!(c.kind, ConKind::NotNull { .. })) {
            out.push((Obj::Constraint(id, c.name.clone()), Tie::Auto));
        }
        for c in rel.columns.iter().filter(|c| c.name != column) {
            if c.generated.as_ref().is_some_and(|g| self.columns_in(&g.expr, rel).is_ok_and(|v| has(&v))) {
                out.push((Obj::Column(id, c.name.clone()), Tie::Normal));
            }
        }
        for t in rel.triggers.iter().filter(|t| has(&t.update_of) || t.when.as_ref().is_some_and(|w| names_row_column(w, column))) {
            out.push((Obj::Trigger(id, t.name.clone()), Tie::Normal));
        }
        for p in &rel.policies {
            if p.using.iter().chain(&p.with_check).any(|e| self.columns_in(e, rel).is_ok_and(|v| has(&v))) {
                out.push((Obj::Policy(id, p.name.clone()), Tie::Normal));
            }
        }
    }

    fn ties_of_constraint(&self, id: Id, name: &str, out: &mut Vec<(Obj, Tie)>) {
        let Some(c) = self.relation(id).and_then(|r| r.constraint(name)) else { return };
        out.extend(self.copies_of_foreign_key(id, c).into_iter().map(|(table, copy)| (Obj::Constraint(table, copy), Tie::Auto)));
        let Some(index) = c.kind.index() else { return };
        out.push((Obj::Relation(index), Tie::Auto));
        for (r, fk) in self.foreign_keys_to(id) {
            // A foreign key hangs on the one index that was chosen for it: the primary key before others.
            if let ConKind::ForeignKey { ref_columns, .. } = &fk.kind
                && self.unique_key(id, ref_columns) == Some(index)
            {
                out.push((Obj::Constraint(r.id, fk.name.clone()), Tie::Normal));
            }
        }
        for child in
            self.referrers(index).filter(|r| self.relation(*r).is_some_and(|r| r.index.as_ref().is_some_and(|i| i.parent == Some(index))))
        {
            out.push((Obj::Relation(child), Tie::Auto));
        }
    }
}

/// `OLD.column` and `NEW.column` in the WHEN of a trigger.
fn names_row_column(e: &crate::op::Expr, column: &str) -> bool {
    let mut found = false;
    e.walk(&mut |e| {
        found |= matches!(&e.kind, crate::op::ExprKind::Column(p) if p.len() > 1 && p.last().is_some_and(|n| n.as_str() == column));
    });
    found
}

fn right_kind(kind: ObjectKind, rel: &Relation) -> Res<()> {
    use ObjectKind::*;
    let (fits, article) = match kind {
        Table => (rel.kind.is_table(), "a table"),
        View => (rel.kind == RelKind::View, "a view"),
        MaterializedView => (rel.kind == RelKind::MaterializedView, "a materialized view"),
        Index => (rel.kind.is_index(), "an index"),
        Sequence => (rel.kind == RelKind::Sequence, "a sequence"),
        ForeignTable => (rel.kind == RelKind::ForeignTable, "a foreign table"),
        _ => (true, ""),
    };
    if fits || rel.assumed { Ok(()) } else { Err(fails("42809", format!("\"{}\" is not {article}", rel.name))) }
}

pub(super) fn kind_word(kind: RelKind) -> &'static str {
    match kind {
        RelKind::Table | RelKind::PartitionedTable => "table",
        RelKind::Index | RelKind::PartitionedIndex => "index",
        RelKind::View => "view",
        RelKind::MaterializedView => "materialized view",
        RelKind::Sequence => "sequence",
        RelKind::Composite => "type",
        RelKind::ForeignTable => "foreign table",
    }
}
