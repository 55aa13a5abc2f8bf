//! Keeps the maps of the catalog in step: names, references and their reverse.
//!
//! Every change of an object goes through here, so that no other file can leave a stale name or a dangling reference behind.

use std::sync::Arc;

use super::key::NameKey;
use super::{Catalog, ConKind, Function, Id, Relation, Type, TypeKind};

impl Catalog {
    /// Both hold the same objects, privileges and known rows, though they came to them by different ways.
    pub fn holds_the_same(&self, other: &Catalog) -> bool {
        self.is_unchanged_since(other)
            || (self.complete == other.complete
                && self.search_path == other.search_path
                && self.default_acls == other.default_acls
                && self.schemas.diff(&other.schemas).next().is_none()
                && self.relations.diff(&other.relations).next().is_none()
                && self.types.diff(&other.types).next().is_none()
                && self.functions.diff(&other.functions).next().is_none()
                && self.objects.diff(&other.objects).next().is_none()
                && self.rows.diff(&other.rows).next().is_none())
    }

    /// Nothing happened between the two: what they hold is shared. `false` says nothing.
    pub fn is_unchanged_since(&self, before: &Catalog) -> bool {
        let Catalog {
            pg,
            next_id,
            schemas,
            relations,
            relation_names,
            types,
            type_names,
            functions,
            function_names,
            constraint_names,
            references,
            dependents,
            temporary,
            temporary_schema,
            objects,
            default_acls,
            rows,
            search_path,
            now,
            transaction,
            settings,
            granted,
            enum_value_added,
            complete,
        } = self;
        let same_transaction = match (transaction, &before.transaction) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        (pg, next_id, now, granted, enum_value_added, complete)
            == (&before.pg, &before.next_id, &before.now, &before.granted, &before.enum_value_added, &before.complete)
            && *temporary_schema == before.temporary_schema
            && same_transaction
            && relations.ptr_eq(&before.relations)
            && relation_names.ptr_eq(&before.relation_names)
            && types.ptr_eq(&before.types)
            && type_names.ptr_eq(&before.type_names)
            && functions.ptr_eq(&before.functions)
            && function_names.ptr_eq(&before.function_names)
            && constraint_names.ptr_eq(&before.constraint_names)
            && references.ptr_eq(&before.references)
            && dependents.ptr_eq(&before.dependents)
            && temporary.ptr_eq(&before.temporary)
            && objects.ptr_eq(&before.objects)
            && schemas.ptr_eq(&before.schemas)
            && rows.ptr_eq(&before.rows)
            && settings.ptr_eq(&before.settings)
            && *search_path == before.search_path
            && *default_acls == before.default_acls
    }

    pub(super) fn fresh(&mut self) -> Id {
        self.next_id += 1;
        Id(self.next_id)
    }

    /// Inserts the relation, or replaces the one with its id.
    pub(super) fn put(&mut self, rel: Relation) {
        let was = self.relations.get(&rel.id).map(|old| Names::of(old));
        let rel = Arc::new(rel);
        self.relations.insert(rel.id, rel.clone());
        self.follow_relation(was, &rel);
    }

    fn follow_relation(&mut self, was: Option<Names>, rel: &Relation) {
        if was.as_ref().is_none_or(|w| w.name != rel.name || w.schema != rel.schema) {
            if let Some(w) = &was {
                self.relation_names.remove(&(w.schema.as_str(), w.name.as_str()));
            }
            self.relation_names.insert(NameKey::new(&*rel.schema, &*rel.name), rel.id);
        }
        self.granted |= !rel.grants.is_empty() || rel.owner.is_some();
        for parent in &rel.parents {
            if self.relations.get(parent).is_some_and(|p| !p.had_children) {
                self.edit(*parent, |p| p.had_children = true);
            }
        }
        if was.as_ref().is_none_or(|w| w.schema != rel.schema || !w.constraints.iter().eq(rel.constraints.iter().map(|c| &c.name))) {
            self.count_constraints(was, Some(Names::of(rel)));
        }
        self.refer(rel.id, references_of(rel));
        if rel.schema == super::resolve::TEMP {
            self.temporary.insert(rel.id);
        }
    }

    pub(super) fn remove_relation(&mut self, id: Id) {
        let Some(old) = self.relations.remove(&id) else { return };
        self.relation_names.remove(&(old.schema.as_str(), old.name.as_str()));
        self.temporary.remove(&id);
        self.count_constraints(Some(Names::of(&old)), None);
        self.refer(id, Vec::new());
    }

    /// Changes a relation in place; does nothing when it is gone.
    pub(super) fn edit(&mut self, id: Id, f: impl FnOnce(&mut Relation)) {
        let Some(slot) = self.relations.get_mut(&id) else { return };
        let rel = Arc::make_mut(slot);
        let was = Names::of(rel);
        f(rel);
        let rel = slot.clone();
        self.follow_relation(Some(was), &rel);
    }

    pub(super) fn put_type(&mut self, ty: Type) {
        if let Some(o) = self.types.get(&ty.id) {
            self.type_names.remove(&(o.schema.as_str(), o.name.as_str()));
        }
        self.type_names.insert(NameKey::new(&*ty.schema, &*ty.name), ty.id);
        let refs = match &ty.kind {
            TypeKind::Domain { base, .. } => base.id.into_iter().collect(),
            _ => Vec::new(),
        };
        self.refer(ty.id, refs);
        self.types.insert(ty.id, Arc::new(ty));
    }

    pub(super) fn remove_type(&mut self, id: Id) {
        let Some(old) = self.types.remove(&id) else { return };
        self.type_names.remove(&(old.schema.as_str(), old.name.as_str()));
        self.refer(id, Vec::new());
    }

    pub(super) fn edit_type(&mut self, id: Id, f: impl FnOnce(&mut Type)) {
        if let Some(ty) = self.types.get(&id) {
            let mut ty = Type::clone(ty);
            f(&mut ty);
            self.put_type(ty);
        }
    }

    pub(super) fn put_function(&mut self, function: Function) {
        self.forget_function_name(function.id);
        self.function_names.entry(NameKey::new(&*function.schema, &*function.name)).or_default().push(function.id);
        self.refer(function.id, function.types.clone());
        self.functions.insert(function.id, Arc::new(function));
    }

    pub(super) fn remove_function(&mut self, id: Id) {
        self.forget_function_name(id);
        self.functions.remove(&id);
        self.refer(id, Vec::new());
    }

    pub(super) fn edit_function(&mut self, id: Id, f: impl FnOnce(&mut Function)) {
        if let Some(function) = self.functions.get(&id) {
            let old = function.clone();
            let mut function = Function::clone(function);
            f(&mut function);
            let (schema, name) = (function.schema.clone(), function.name.clone());
            self.put_function(function);
            if (&schema, &name) != (&old.schema, &old.name) {
                let calling: Vec<Id> = self.triggers_calling(id).into_iter().map(|(r, _)| r.id).collect();
                for table in calling {
                    self.edit(table, |r| {
                        r.triggers.iter_mut().filter(|t| t.function_id == Some(id)).for_each(|t| t.function = format!("{schema}.{name}"));
                    });
                }
            }
        }
    }

    fn forget_function_name(&mut self, id: Id) {
        let Some(old) = self.functions.get(&id) else { return };
        let old = old.clone();
        let key = (old.schema.as_str(), old.name.as_str());
        if let Some(ids) = self.function_names.get_mut(&key) {
            ids.retain(|i| *i != id);
            if ids.is_empty() {
                self.function_names.remove(&key);
            }
        }
    }

    /// Everything that refers to the object, in the order of creation.
    pub(super) fn referrers(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        self.dependents.get(&id).into_iter().flat_map(|s| s.iter().copied())
    }

    fn refer(&mut self, id: Id, mut refs: Vec<Id>) {
        refs.sort_unstable();
        refs.dedup();
        let old = self.references.get(&id).cloned();
        let before: &[Id] = old.as_deref().unwrap_or(&[]);
        if before == refs.as_slice() {
            return;
        }
        for gone in before.iter().filter(|r| refs.binary_search(r).is_err()) {
            if let Some(set) = self.dependents.get_mut(gone) {
                set.remove(&id);
                if set.is_empty() {
                    self.dependents.remove(gone);
                }
            }
        }
        for new in refs.iter().filter(|r| before.binary_search(r).is_err()) {
            self.dependents.entry(*new).or_default().insert(id);
        }
        if refs.is_empty() {
            self.references.remove(&id);
        } else {
            self.references.insert(id, refs.into());
        }
    }

    fn count_constraints(&mut self, old: Option<Names>, new: Option<Names>) {
        for key in old.into_iter().flat_map(Names::constraint_keys) {
            let key = (key.0.as_str(), key.1.as_str());
            match self.constraint_names.get_mut(&key) {
                Some(n) if *n > 1 => *n -= 1,
                _ => {
                    self.constraint_names.remove(&key);
                }
            }
        }
        for key in new.into_iter().flat_map(Names::constraint_keys) {
            *self.constraint_names.entry(NameKey::new(key.0, key.1)).or_insert(0) += 1;
        }
    }
}

/// What the maps of names know of a relation.
struct Names {
    schema: String,
    name: String,
    constraints: Vec<String>,
}

impl Names {
    fn of(rel: &Relation) -> Self {
        let constraints = rel.constraints.iter().map(|c| c.name.clone()).collect();
        Names { schema: rel.schema.clone(), name: rel.name.clone(), constraints }
    }

    fn constraint_keys(self) -> impl Iterator<Item = (String, String)> {
        let Names { schema, constraints, .. } = self;
        constraints.into_iter().map(move |c| (schema.clone(), c))
    }
}

fn references_of(rel: &Relation) -> Vec<Id> {
    let mut out = rel.parents.clone();
    out.extend(rel.of_type);
    for c in &rel.columns {
        out.extend(c.ty.id);
        out.extend(&c.uses);
    }
    for c in &rel.constraints {
        out.extend(&c.uses);
        if let ConKind::ForeignKey { table, .. } = &c.kind {
            out.push(*table);
        }
    }
    out.extend(rel.triggers.iter().filter_map(|t| t.function_id));
    out.extend(rel.policies.iter().flat_map(|p| &p.uses));
    if let Some(i) = &rel.index {
        out.push(i.table);
        out.extend(i.parent);
        out.extend(&i.uses);
    }
    if let Some(v) = &rel.view {
        out.extend(v.depends.iter().map(|(id, _)| *id));
        out.extend(v.functions.iter().chain(&v.types));
    }
    if let Some((table, _)) = rel.sequence.as_ref().and_then(|s| s.owned_by.as_ref()) {
        out.push(*table);
    }
    out
}
