//! Enums, domains, composite and other types.

use crate::op::{ColumnDef, DomainAction, DomainConstraintKind, Expr, Name, ObjectKind, QName, TypeName};

use super::apply::{Applied, ApplyError, Res, fails};
use super::drop::Obj;
use super::names::clip;
use super::{Acl, Catalog, DomainCheck, EnumLabel, Id, Origin, RelKind, Relation, Type, TypeKind};

impl Catalog {
    fn new_type(&mut self, name: &QName, kind: TypeKind) -> Res<Applied> {
        let (schema, name) = self.new_type_name(name)?;
        let id = self.fresh();
        let grants = self.initial_grants(ObjectKind::Type, &schema);
        self.put_type(Type { id, schema, name, kind, origin: self.now, owner: self.current_role(), grants, comment: None });
        Ok(Applied::created(id))
    }

    fn new_type_name(&mut self, name: &QName) -> Res<(String, String)> {
        let schema = self.creation_schema(name, false)?;
        let name = clip(name.as_str());
        let key = (schema.as_str(), name.as_str());
        if let Some(id) = self.type_names.get(&key).copied() {
            // `CREATE TYPE t;` makes a shell that the real definition fills later.
            let shell = self.types.get(&id).is_some_and(|t| matches!(t.kind, TypeKind::Other));
            if shell {
                self.remove_type(id);
            } else {
                return Err(fails("42710", format!("type \"{}\" already exists", name)));
            }
        }
        match self.relation_names.get(&key).and_then(|id| self.relation(*id)).map(|r| (r.id, r.kind, r.assumed)) {
            Some((id, _, true)) => self.remove_relation(id),
            Some((_, kind, _)) if !kind.is_index() && kind != RelKind::Sequence => {
                return Err(fails("42710", format!("type \"{}\" already exists", name)));
            }
            _ => {}
        }
        Ok((schema, name))
    }

    pub(super) fn create_enum(&mut self, name: &QName, labels: &[String]) -> Res<Applied> {
        let mut out: Vec<EnumLabel> = Vec::with_capacity(labels.len());
        let mut seen = std::collections::HashSet::new();
        for l in labels {
            if l.len() > crate::quote::MAX_IDENT_BYTES {
                return Err(fails("42602", format!("invalid enum label \"{l}\"")));
            }
            if !seen.insert(l) {
                return Err(fails("23505", "duplicate key value violates unique constraint \"pg_enum_typid_label_index\""));
            }
            out.push(EnumLabel { value: l.clone(), origin: self.now, added: false });
        }
        self.new_type(name, TypeKind::Enum { labels: out })
    }

    pub(super) fn create_domain(
        &mut self,
        name: &QName,
        ty: &TypeName,
        default: Option<&Expr>,
        not_null: bool,
        checks: &[(Option<Name>, Expr)],
    ) -> Res<Applied> {
        let base = self.need_type(ty)?;
        let domain = clip(name.as_str());
        let mut made: Vec<DomainCheck> = Vec::new();
        for (given, expr) in checks {
            let name = domain_check_name(&domain, given.as_ref(), &made);
            made.push(DomainCheck { name, expr: expr.clone(), validated: true, comment: None });
        }
        let default = default.filter(|e| !self.is_no_default(&base, e)).cloned();
        self.new_type(name, TypeKind::Domain { base, not_null, default, checks: made })
    }

    pub(super) fn create_composite(&mut self, name: &QName, attributes: &[ColumnDef]) -> Res<Applied> {
        let (schema, name) = self.new_type_name(name)?;
        let id = self.fresh();
        let mut rel = Relation::empty(id, schema, name, RelKind::Composite, self.now);
        for a in attributes {
            let c = self.define_column(&rel, a)?;
            if rel.column(&c.name).is_some() {
                return Err(fails("42701", format!("column \"{}\" specified more than once", c.name)));
            }
            rel.push_column(c);
        }
        rel.owner = self.current_role();
        rel.grants = self.initial_grants(ObjectKind::Type, &rel.schema);
        self.put(rel);
        Ok(Applied::created(id))
    }

    pub(super) fn create_other_type(&mut self, name: &QName, kind: &str) -> Res<Applied> {
        let kind = if kind.eq_ignore_ascii_case("range") { TypeKind::Range } else { TypeKind::Other };
        self.new_type(name, kind)
    }

    /// The type, made up when the history is not complete.
    fn need_own_type(&mut self, name: &QName, assumed: TypeKind) -> Res<Id> {
        if let Some(id) = self.type_id(name) {
            return Ok(id);
        }
        if self.complete {
            return Err(self.no_type(name));
        }
        let schema = self.creation_schema(name, false)?;
        let id = self.fresh();
        self.put_type(Type {
            id,
            schema,
            name: clip(name.as_str()),
            kind: assumed,
            origin: Origin::default(),
            owner: None,
            grants: Acl::everybody("USAGE"),
            comment: None,
        });
        Ok(id)
    }

    fn no_type(&self, name: &QName) -> ApplyError {
        fails("42704", format!("type \"{name}\" does not exist")).unless(self.unknown_extension())
    }

    /// The labels of an enum; `Err` for other types.
    fn labels(&self, id: Id, name: &QName) -> Res<Vec<EnumLabel>> {
        match self.types.get(&id).map(|t| &t.kind) {
            Some(TypeKind::Enum { labels }) => Ok(labels.clone()),
            _ => Err(fails("42809", format!("{name} is not an enum"))),
        }
    }

    pub(super) fn add_enum_value(
        &mut self,
        name: &QName,
        value: &str,
        if_not_exists: bool,
        before: Option<&str>,
        after: Option<&str>,
    ) -> Res<Applied> {
        let id = self.need_own_type(name, TypeKind::Enum { labels: Vec::new() })?;
        let mut labels = self.labels(id, name)?;
        // A made-up enum has labels that nobody knows.
        let known = !labels.is_empty() && self.complete;
        if labels.iter().any(|l| l.value == value) {
            if if_not_exists {
                return Ok(Applied::skipped());
            }
            return Err(fails("42710", format!("enum label \"{value}\" already exists")));
        }
        let neighbour = before.or(after);
        let at = neighbour.map(|n| labels.iter().position(|l| l.value == n));
        let at = match (at, before.is_some()) {
            (None, _) => labels.len(),
            (Some(Some(i)), true) => i,
            (Some(Some(i)), false) => i + 1,
            (Some(None), _) if known => {
                return Err(fails("22023", format!("\"{}\" is not an existing enum label", neighbour.unwrap_or_default())));
            }
            (Some(None), _) => labels.len(),
        };
        labels.insert(at, EnumLabel { value: value.to_string(), origin: self.now, added: true });
        self.enum_value_added = self.now.transaction;
        self.edit_type(id, |t| t.kind = TypeKind::Enum { labels });
        Ok(Applied::default())
    }

    pub(super) fn rename_enum_value(&mut self, name: &QName, from: &str, to: &str) -> Res<Applied> {
        let id = self.need_own_type(name, TypeKind::Enum { labels: Vec::new() })?;
        let mut labels = self.labels(id, name)?;
        if labels.iter().any(|l| l.value == to) {
            return Err(fails("42710", format!("enum label \"{to}\" already exists")));
        }
        match labels.iter_mut().find(|l| l.value == from) {
            Some(l) => l.value = to.to_string(),
            None if self.complete => return Err(fails("22023", format!("\"{from}\" is not an existing enum label"))),
            None => labels.push(EnumLabel { value: to.to_string(), origin: Origin::default(), added: false }),
        }
        self.edit_type(id, |t| t.kind = TypeKind::Enum { labels });
        self.rename_in_defaults(id, from, to);
        self.rename_in_rows(id, from, to);
        Ok(Applied::default())
    }

    /// A default keeps its label by identity, whatever that is called.
    fn rename_in_defaults(&mut self, id: Id, from: &str, to: &str) {
        let is = |e: &crate::op::Expr| matches!(&e.kind, crate::op::ExprKind::String(s) if s == from);
        let columns: Vec<(Id, String)> = self
            .columns_of_type(id)
            .into_iter()
            .filter(|(r, c)| r.column(c).is_some_and(|c| !c.ty.is_array() && c.default.as_ref().is_some_and(is)))
            .map(|(r, c)| (r.id, c.to_string()))
            .collect();
        for (table, column) in columns {
            self.edit_column(table, &column, |c| {
                if let Some(d) = &mut c.default {
                    d.kind = crate::op::ExprKind::String(to.to_string());
                    d.text = crate::quote::literal(to);
                }
            });
        }
    }

    pub(super) fn alter_domain(&mut self, name: &QName, action: &DomainAction) -> Res<Applied> {
        let Some(id) = self.type_id(name) else {
            return if self.complete { Err(self.no_type(name)) } else { Ok(Applied::default()) };
        };
        let Some(ty) = self.types.get(&id).cloned() else { return Ok(Applied::default()) };
        let TypeKind::Domain { base, mut not_null, mut default, mut checks } = ty.kind.clone() else {
            return Err(fails("42809", format!("\"{name}\" is not a domain")));
        };
        let missing = |n: &str| fails("42704", format!("constraint \"{n}\" of domain \"{}\" does not exist", ty.name));
        match action {
            DomainAction::SetDefault(e) => default = Some(e.clone()).filter(|e| !self.is_no_default(&base, e)),
            DomainAction::DropDefault => default = None,
            DomainAction::SetNotNull => not_null = true,
            DomainAction::DropNotNull => not_null = false,
            DomainAction::AddConstraint { name: given, kind, not_valid } => match kind {
                DomainConstraintKind::NotNull => not_null = true,
                DomainConstraintKind::Check(expr) => {
                    let n = domain_check_name(&ty.name, given.as_ref(), &checks);
                    if checks.iter().any(|c| c.name == n) {
                        return Err(fails("42710", format!("constraint \"{n}\" for domain \"{}\" already exists", ty.name)));
                    }
                    checks.push(DomainCheck { name: n, expr: expr.clone(), validated: !not_valid, comment: None });
                }
            },
            DomainAction::DropConstraint { name, if_exists, .. } => {
                let n = clip(name.as_str());
                if !checks.iter().any(|c| c.name == n) {
                    // A named NOT NULL of a domain is not kept under its name.
                    if not_null && n.ends_with("not_null") {
                        not_null = false;
                    } else if *if_exists {
                        return Ok(Applied::skipped());
                    } else {
                        return Err(missing(&n));
                    }
                }
                checks.retain(|c| c.name != n);
            }
            DomainAction::RenameConstraint { from, to } => {
                let n = clip(from.as_str());
                match checks.iter_mut().find(|c| c.name == n) {
                    Some(c) => c.name = clip(to.as_str()),
                    None => return Err(missing(&n)),
                }
            }
            DomainAction::ValidateConstraint { name } => {
                let n = clip(name.as_str());
                match checks.iter_mut().find(|c| c.name == n) {
                    Some(c) => c.validated = true,
                    None => return Err(missing(&n)),
                }
            }
        }
        self.edit_type(id, |t| t.kind = TypeKind::Domain { base, not_null, default, checks });
        Ok(Applied::default())
    }

    /// A type that an extension brings; it goes with the extension.
    pub(super) fn put_extension_type(&mut self, schema: &str, name: &str) {
        if self.type_names.contains_key(&(schema, name)) {
            return;
        }
        let id = self.fresh();
        self.put_type(Type {
            id,
            schema: schema.to_string(),
            name: name.to_string(),
            kind: TypeKind::Other,
            origin: self.now,
            owner: None,
            grants: Acl::everybody("USAGE"),
            comment: None,
        });
    }

    /// What lies below a domain; other types are their own base.
    pub(super) fn base_type(&self, ty: &super::ColumnType) -> super::ColumnType {
        let mut ty = ty.clone();
        for _ in 0..32 {
            match ty.id.and_then(|id| self.types.get(&id)).map(|t| &t.kind) {
                Some(TypeKind::Domain { base, .. }) if !ty.is_array() => ty = base.clone(),
                _ => break,
            }
        }
        ty
    }

    pub(super) fn drop_types(&mut self, ids: Vec<Id>, cascade: bool) -> Res<Vec<Id>> {
        if ids.is_empty() { Ok(Vec::new()) } else { self.drop_all(ids.into_iter().map(Obj::Type).collect(), cascade) }
    }
}

fn domain_check_name(domain: &str, given: Option<&Name>, others: &[DomainCheck]) -> String {
    if let Some(n) = given {
        return clip(n.as_str());
    }
    let mut n = 0;
    loop {
        let label = if n == 0 { "check".to_string() } else { format!("check{n}") };
        let name = super::names::make_object_name(domain, None, Some(&label));
        if !others.iter().any(|c| c.name == name) {
            return name;
        }
        n += 1;
    }
}
