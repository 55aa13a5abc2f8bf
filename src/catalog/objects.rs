//! Schemas, statistics, comments, owners, and objects that are only known by name.

use std::sync::Arc;

use crate::op::{Expr, Name, ObjectKind, ObjectRef, QName};

use super::apply::{Applied, Res, fails};
use super::names::{clip, columns_part, index_column_names, make_object_name};
use super::{Catalog, Object, Schema, TypeKind};

impl Catalog {
    pub(super) fn create_schema(&mut self, name: Option<&Name>, if_not_exists: bool, authorization: Option<&str>) -> Res<Applied> {
        let Some(name) = name.map(Name::as_str).or(authorization).map(clip) else { return Ok(Applied::default()) };
        if name.starts_with("pg_") {
            return Err(fails("42939", format!("unacceptable schema name \"{name}\"")));
        }
        if self.schemas.get(&name).is_some_and(|s| !s.assumed) || name == "information_schema" {
            if if_not_exists {
                return Ok(Applied::skipped());
            }
            return Err(fails("42P06", format!("schema \"{name}\" already exists")));
        }
        let owner = authorization.map(str::to_string).or_else(|| self.current_role());
        let grants = self.initial_grants(ObjectKind::Schema, "");
        let schema = Schema { owner, grants, ..Schema::new(name.clone(), self.now) };
        self.schemas.insert(name, Arc::new(schema));
        Ok(Applied::default())
    }

    pub(super) fn create_statistics(&mut self, name: Option<&QName>, if_not_exists: bool, exprs: &[Expr], table: &QName) -> Res<Applied> {
        let id = self.need_relation(table)?;
        let Some(rel) = self.shared(id) else { return Ok(Applied::default()) };
        let mut columns = Vec::new();
        for e in exprs {
            columns.extend(self.columns_in(e, &rel)?);
        }
        let (schema, name) = match name {
            Some(n) => (self.creation_schema(n, false)?, clip(n.as_str())),
            None => {
                let elements: Vec<_> = exprs
                    .iter()
                    .map(|e| crate::op::IndexElement {
                        expr: e.clone(),
                        collation: None,
                        opclass: None,
                        opclass_options: Vec::new(),
                        descending: false,
                        nulls_first: None,
                    })
                    .collect();
                let part = columns_part(&index_column_names(&elements, &[]));
                let mut n = 0;
                let name = loop {
                    let label = if n == 0 { "stat".to_string() } else { format!("stat{n}") };
                    let name = make_object_name(&rel.name, Some(&part), Some(&label));
                    if !self.objects.contains_key(&(ObjectKind::Statistics, rel.schema.clone(), name.clone())) {
                        break name;
                    }
                    n += 1;
                };
                (rel.schema.clone(), name)
            }
        };
        let key = (ObjectKind::Statistics, schema, name);
        if self.objects.contains_key(&key) {
            if if_not_exists {
                return Ok(Applied::skipped());
            }
            return Err(fails("42710", format!("statistics object \"{}\" already exists", key.2)));
        }
        let object = Object {
            kind: key.0,
            schema: key.1.clone(),
            name: key.2.clone(),
            detail: String::new(),
            relations: vec![id],
            columns,
            origin: self.now,
            comment: None,
        };
        self.objects.insert(key, Arc::new(object));
        Ok(Applied::default())
    }

    /// Where an object that is only known by name is kept.
    fn key(&self, o: &ObjectRef) -> (ObjectKind, String, String) {
        let local = matches!(
            o.kind,
            ObjectKind::Statistics
                | ObjectKind::Collation
                | ObjectKind::Conversion
                | ObjectKind::Operator
                | ObjectKind::OperatorClass
                | ObjectKind::OperatorFamily
                | ObjectKind::TextSearchConfiguration
                | ObjectKind::TextSearchDictionary
                | ObjectKind::TextSearchParser
                | ObjectKind::TextSearchTemplate
        );
        let name = clip(o.name.as_str());
        if !local {
            return (o.kind, String::new(), name);
        }
        let in_path =
            || self.effective_path().find(|s| self.objects.contains_key(&(o.kind, (*s).to_string(), name.clone()))).map(str::to_string);
        let schema = match o.name.schema_str() {
            Some(s) => s.to_string(),
            None => in_path().or_else(|| self.effective_path().next().map(str::to_string)).unwrap_or_default(),
        };
        (o.kind, schema, name)
    }

    pub(super) fn create_object(&mut self, o: &ObjectRef, or_replace: bool, if_not_exists: bool, detail: &str) -> Res<Applied> {
        if o.kind == ObjectKind::Aggregate {
            return self.create_aggregate(o, or_replace);
        }
        let key = self.key(o);
        // Operators, casts and the like are told apart by argument types, which are not kept; roles belong to the cluster.
        let overloaded = matches!(
            o.kind,
            ObjectKind::Operator
                | ObjectKind::Cast
                | ObjectKind::UserMapping
                | ObjectKind::OperatorClass
                | ObjectKind::OperatorFamily
                | ObjectKind::Transform
        );
        if self.objects.contains_key(&key) && !or_replace && !overloaded {
            if if_not_exists {
                return Ok(Applied::skipped());
            }
            let what = o.kind.to_string().to_ascii_lowercase().replace('-', " ");
            return Err(fails("42710", format!("{what} \"{}\" already exists", key.2)));
        }
        let mut object = Object {
            kind: o.kind,
            schema: key.1.clone(),
            name: key.2.clone(),
            detail: detail.to_string(),
            relations: Vec::new(),
            columns: Vec::new(),
            origin: self.now,
            comment: None,
        };
        if o.kind == ObjectKind::Publication {
            self.follow_publication(&mut object, detail)?;
        }
        self.objects.insert(key, Arc::new(object));
        Ok(Applied::default())
    }

    pub(super) fn alter_object(&mut self, o: &ObjectRef, detail: &str) -> Res<Applied> {
        let key = self.key(o);
        if o.kind == ObjectKind::Publication && self.complete && !self.objects.contains_key(&key) {
            return Err(fails("42704", format!("publication \"{}\" does not exist", key.2)));
        }
        if let Some(old) = self.objects.get(&key).cloned() {
            let mut new = Object::clone(&old);
            if o.kind == ObjectKind::Publication {
                self.follow_publication(&mut new, detail)?;
            }
            if !detail.is_empty() {
                new.detail = if new.detail.is_empty() { detail.to_string() } else { format!("{}; {detail}", new.detail) };
            }
            self.objects.insert(key, Arc::new(new));
        }
        Ok(Applied::default())
    }

    /// Takes the object out; `false`: it was not there.
    pub(super) fn forget_object(&mut self, o: &ObjectRef) -> bool {
        match o.kind {
            ObjectKind::Rule => {
                let Some(id) = o.on.as_ref().and_then(|on| self.resolve(on)) else { return false };
                let name = clip(o.name.as_str());
                let there = self.relation(id).is_some_and(|r| r.rules.iter().any(|x| x.name == name));
                self.edit(id, |r| r.rules.retain(|x| x.name != name));
                there
            }
            ObjectKind::Extension => self.drop_extension(o.name.as_str()),
            _ => {
                let key = self.key(o);
                self.objects.remove(&key).is_some()
            }
        }
    }

    pub(super) fn rename_named(&mut self, o: &ObjectRef, to: &str) -> Res<()> {
        let key = self.key(o);
        if let Some(old) = self.objects.remove(&key) {
            let mut new = Object::clone(&old);
            new.name = to.to_string();
            self.objects.insert((key.0, key.1, to.to_string()), Arc::new(new));
        }
        Ok(())
    }

    pub(super) fn move_named(&mut self, o: &ObjectRef, schema: &str) {
        let key = self.key(o);
        if let Some(old) = self.objects.remove(&key) {
            let mut new = Object::clone(&old);
            new.schema = schema.to_string();
            self.objects.insert((key.0, schema.to_string(), key.2), Arc::new(new));
        }
    }

    pub(super) fn set_object_owner(&mut self, o: &ObjectRef, to: &str) -> Res<Applied> {
        use ObjectKind::*;
        let to = self.owner_by(to);
        match o.kind {
            Table | View | MaterializedView | Index | Sequence | ForeignTable => {
                let id = self.need_relation(&o.name)?;
                self.edit(id, |r| r.owner = to.clone());
            }
            Type | Domain => {
                if let Some(id) = self.type_id(&o.name) {
                    self.edit_type(id, |t| t.owner = to.clone());
                    self.edit(id, |r| r.owner = to.clone());
                } else if self.complete {
                    return Err(self.no_object(o));
                }
            }
            Schema => {
                let name = clip(o.name.as_str());
                match self.schemas.get(&name).cloned() {
                    Some(s) => {
                        let mut s = super::Schema::clone(&s);
                        s.owner = to.clone();
                        self.schemas.insert(name, Arc::new(s));
                    }
                    None => return self.missing_is_fine(o),
                }
            }
            Function | Procedure | Routine => {
                if let Some(id) = self.find_function(o)? {
                    self.edit_function(id, |f| f.owner = to.clone());
                }
            }
            _ => {}
        }
        Ok(Applied::default())
    }

    /// The role behind OWNER TO; `None` is whoever runs the migrations.
    pub(super) fn owner_by(&self, to: &str) -> Option<String> {
        let set = |name: &str| self.settings.get(name).map(|s| s.value.clone());
        match to.to_ascii_lowercase().as_str() {
            "current_user" | "current_role" => set("role").or_else(|| set("session_authorization")),
            "session_user" => set("session_authorization"),
            _ => Some(to.to_string()),
        }
    }

    /// A comment belongs to its object: it follows every rename and goes with it.
    pub(super) fn comment(&mut self, o: &ObjectRef, text: Option<&str>) -> Res<Applied> {
        use ObjectKind::*;
        let text = text.filter(|t| !t.is_empty()).map(str::to_string);
        let name = clip(o.name.as_str());
        let on = match (&o.on, o.kind) {
            (Some(on), Column | Constraint | Trigger | Policy | Rule) => Some(self.need_relation(on)?),
            _ => None,
        };
        match (o.kind, on) {
            (Table | View | MaterializedView | Sequence | ForeignTable | Index, _) => match self.resolve(&o.name) {
                Some(id) => self.edit(id, |r| r.comment = text),
                None if self.complete => return Err(self.no_relation_or_schema(&o.name)),
                None => {}
            },
            (Column, Some(id)) => {
                let column = self.need_column(id, &o.name.name)?;
                self.edit_column(id, &column, |c| c.comment = text);
            }
            (Constraint, Some(id)) => {
                let constraint = self.need_constraint(id, &o.name.name)?;
                self.edit_constraint(id, &constraint, |c| c.comment = text);
            }
            (Trigger | Policy | Rule, Some(id)) => {
                let Some(rel) = self.shared(id) else { return Ok(Applied::default()) };
                let mut new = super::Relation::clone(&rel);
                let slot = match o.kind {
                    Trigger => new.triggers.iter_mut().find(|t| t.name == name).map(|t| &mut t.comment),
                    Policy => new.policies.iter_mut().find(|p| p.name == name).map(|p| &mut p.comment),
                    _ => new.rules.iter_mut().find(|r| r.name == name).map(|r| &mut r.comment),
                };
                match slot {
                    Some(slot) => {
                        *slot = text;
                        self.edit(id, |r| *r = new);
                    }
                    None if rel.assumed => {}
                    None => return Err(self.no_object(o)),
                }
            }
            (Type | Domain, _) => match self.type_id(&o.name) {
                Some(id) if self.types.contains_key(&id) => self.edit_type(id, |t| t.comment = text),
                Some(id) => self.edit(id, |r| r.comment = text),
                None => return self.missing_is_fine(o),
            },
            (DomainConstraint, _) => {
                if let Some(id) = o.on.as_ref().and_then(|on| self.type_id(on)) {
                    self.edit_type(id, |t| {
                        if let TypeKind::Domain { checks, .. } = &mut t.kind {
                            checks.iter_mut().filter(|c| c.name == name).for_each(|c| c.comment.clone_from(&text));
                        }
                    });
                }
            }
            (Function | Procedure | Routine | Aggregate, _) => {
                if let Some(id) = self.find_function(o)? {
                    self.edit_function(id, |f| f.comment = text);
                }
            }
            (Schema, _) => match self.schemas.get(&name).cloned() {
                Some(s) => {
                    self.schemas.insert(name, Arc::new(super::Schema { comment: text, ..super::Schema::clone(&s) }));
                }
                None => return self.missing_is_fine(o),
            },
            _ => {
                let key = self.key(o);
                if o.kind == Extension && self.complete && !self.objects.contains_key(&key) && name != "plpgsql" {
                    return Err(fails("42704", format!("extension \"{name}\" does not exist")));
                }
                if let Some(old) = self.objects.get(&key).cloned() {
                    self.objects.insert(key, Arc::new(Object { comment: text, ..Object::clone(&old) }));
                }
            }
        }
        Ok(Applied::default())
    }

    /// An aggregate shares the functions' name space.
    fn create_aggregate(&mut self, o: &ObjectRef, or_replace: bool) -> Res<Applied> {
        let schema = self.creation_schema(&o.name, false)?;
        let name = clip(o.name.as_str());
        let arg_types: Vec<String> = o.args.iter().flatten().map(|t| self.resolve_type(t).to_string()).collect();
        let same = self
            .function_names
            .get(&(schema.as_str(), name.as_str()))
            .into_iter()
            .flatten()
            .find(|id| self.functions.get(*id).is_some_and(|f| f.arg_types == arg_types))
            .copied();
        if same.is_some() {
            if or_replace {
                return Ok(Applied::default());
            }
            return Err(fails("42723", format!("function \"{name}\" already exists with same argument types")));
        }
        let id = self.fresh();
        let grants = self.initial_grants(ObjectKind::Function, &schema);
        let def = crate::op::CreateFunction {
            name: o.name.clone(),
            procedure: false,
            or_replace,
            args: Vec::new(),
            returns: None,
            returns_table: Vec::new(),
            language: "internal".to_string(),
            volatility: crate::op::Volatility::Immutable,
            strict: false,
            security_definer: false,
            leakproof: false,
            other: Vec::new(),
            settings: Vec::new(),
            body: String::new(),
            symbol: None,
            body_span: None,
            body_ops: Vec::new(),
            dynamic_sql: false,
            concatenated_sql: false,
        };
        self.put_function(super::Function {
            id,
            schema,
            name,
            kind: ObjectKind::Aggregate,
            def: Arc::new(def),
            // Without known arguments any number may be given.
            variadic: o.args.is_none(),
            arg_types,
            defaults: 0,
            types: Vec::new(),
            returns: "unknown".to_string(),
            origin: self.now,
            comment: None,
            owner: self.current_role(),
            grants,
        });
        Ok(Applied::created(id))
    }
}
