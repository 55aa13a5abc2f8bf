//! CREATE TABLE in all its forms.

use crate::op::{
    ColumnDef, ConstraintKind, CreateTable, CreateTableAs, Expr, ExprKind, LikeClause, Name, ObjectKind, Persistence, QName,
    TableConstraint,
};
use crate::source::Span;

use super::apply::{Applied, Res, fails};
use super::exprs::{has_column, has_subquery};
use super::names::clip;
use super::{Catalog, Column, ColumnType, ConKind, Constraint, Id, RelKind, Relation};

impl Catalog {
    pub(super) fn create_table(&mut self, t: &CreateTable) -> Res<Applied> {
        let Some((schema, name)) = self.new_relation_name(&t.name, t.persistence, t.if_not_exists)? else {
            return Ok(Applied::skipped());
        };
        // Before anything else is looked at, as Postgres does it.
        too_wide(t.columns.len())?;
        let kind = match (&t.partition_by, &t.foreign_server) {
            (_, Some(_)) => RelKind::ForeignTable,
            (Some(_), _) => RelKind::PartitionedTable,
            _ => RelKind::Table,
        };
        let id = self.fresh();
        let mut rel = Relation::empty(id, schema, name, kind, self.now);
        rel.persistence = if rel.schema == super::resolve::TEMP { Persistence::Temporary } else { t.persistence };
        rel.options = t.options.clone();
        rel.tablespace = t.tablespace.clone();
        rel.access_method = t.access_method.clone();
        rel.partition_by = t.partition_by.clone();
        rel.owner = self.current_role();
        if kind == RelKind::ForeignTable {
            rel.options.push(("server".to_string(), t.foreign_server.clone()));
        }

        let mut parents = Vec::new();
        for p in t.inherits.iter().chain(t.partition_of.iter().map(|(p, _)| p)) {
            parents.push(self.need_relation(p)?);
        }
        if let Some((name, bound)) = &t.partition_of {
            let parent = self.relation(parents[0]);
            if parent.is_some_and(|p| p.kind != RelKind::PartitionedTable && !p.assumed) {
                return Err(fails("42809", format!("\"{}\" is not partitioned", name.as_str())));
            }
            self.refuse_bound(parents[0], bound)?;
            rel.partition_bound = Some(bound.clone());
        }
        let permanent = t.persistence != Persistence::Temporary;
        if let Some(p) = parents.iter().filter_map(|p| self.relation(*p)).find(|p| p.persistence == Persistence::Temporary && permanent) {
            let what = if t.partition_of.is_some() { "create a permanent relation as partition of" } else { "inherit from" };
            return Err(fails("42809", format!("cannot {what} temporary relation \"{}\"", p.name)));
        }
        for p in parents.iter().filter(|_| t.partition_of.is_none()).filter_map(|p| self.relation(*p)) {
            if p.kind == RelKind::PartitionedTable {
                return Err(fails("42809", format!("cannot inherit from partitioned table \"{}\"", p.name)));
            }
            if p.is_partition() {
                return Err(fails("42809", format!("cannot inherit from partition \"{}\"", p.name)));
            }
        }
        self.inherit_columns(&mut rel, &parents)?;
        rel.parents = parents;
        if let Some(ty) = &t.of_type {
            self.columns_of_composite(&mut rel, ty)?;
            rel.of_type = self.type_id(ty);
        }
        self.own_columns(&mut rel, t)?;
        self.check_partition_key(&rel)?;
        too_wide(rel.columns.len())?;
        let relation_name = rel.name.clone();
        // Before the new table is there, which may bear the same name in another schema.
        let likes: Vec<Option<Id>> = t.likes.iter().map(|l| self.resolve(&l.table)).collect();
        self.put(rel);
        self.default_grants(id, ObjectKind::Table);

        for def in &t.columns {
            self.attach_sequence(id, def)?;
        }
        let wanted = constraints_of(t);
        let mut sources = self.relation(id).map(|r| r.parents.clone()).unwrap_or_default();
        sources.extend(likes.iter().flatten());
        self.name_not_nulls(id, &t.columns, &sources)?;
        self.inherit_checks(id)?;
        for c in wanted.iter().filter(|c| matches!(c.kind, ConstraintKind::Check { .. } | ConstraintKind::NotNull { .. })) {
            self.add_constraint(id, c, false)?;
        }
        self.index_constraints_of(id, &wanted)?;
        for (like, source) in t.likes.iter().zip(likes) {
            self.like_objects(id, like, source)?;
        }
        if let Some(parent) = t.partition_of.as_ref().and_then(|_| self.relation(id)?.parents.first().copied()) {
            self.clone_to_partition(parent, id)?;
        }
        for c in wanted.iter().filter(|c| matches!(c.kind, ConstraintKind::ForeignKey(_))) {
            self.add_constraint(id, c, false)?;
        }
        debug_assert!(self.relation(id).is_some_and(|r| r.name == relation_name));
        Ok(Applied::created(id))
    }

    /// Schema and name of a new relation; `None`: it exists and may.
    pub(super) fn new_relation_name(
        &mut self,
        name: &QName,
        persistence: Persistence,
        if_not_exists: bool,
    ) -> Res<Option<(String, String)>> {
        let schema = self.creation_schema(name, persistence == Persistence::Temporary)?;
        let relation = clip(name.as_str());
        if self.name_taken(&schema, &relation) {
            let assumed = self.relation_named(&schema, &relation).filter(|r| r.assumed).map(|r| r.id);
            if let Some(id) = assumed {
                // It was only made up; the real one comes now.
                self.remove_relation(id);
            } else if if_not_exists {
                return Ok(None);
            } else {
                return Err(fails("42P07", format!("relation \"{relation}\" already exists")));
            }
        }
        if self.type_names.contains_key(&(schema.as_str(), relation.as_str())) {
            return Err(fails("42710", format!("type \"{relation}\" already exists")));
        }
        Ok(Some((schema, relation)))
    }

    /// Columns of all parents, merged by name.
    fn inherit_columns(&mut self, rel: &mut Relation, parents: &[Id]) -> Res<()> {
        for parent in parents.iter().filter_map(|p| self.shared(*p)) {
            for pc in &parent.columns {
                if let Some(c) = rel.column_mut(&pc.name) {
                    if c.ty.name != pc.ty.name {
                        return Err(fails("42804", format!("inherited column \"{}\" has a type conflict", pc.name)));
                    }
                    c.not_null |= pc.not_null;
                    continue;
                }
                let mut c = Column { inherited: true, serial: None, grants: Vec::new(), origin: self.now, comment: None, ..pc.clone() };
                // Partitions take part in their parent's identity since 17; before, a partition's column is plain.
                if !(self.at_least(17) && rel.partition_bound.is_some()) {
                    c.identity = None;
                }
                rel.push_column(c);
            }
        }
        Ok(())
    }

    /// A composite type is a relation of its own kind.
    pub(super) fn composite(&self, ty: &QName) -> Option<Id> {
        self.type_id(ty).filter(|id| self.relation(*id).is_some_and(|r| r.kind == RelKind::Composite))
    }

    fn columns_of_composite(&mut self, rel: &mut Relation, ty: &QName) -> Res<()> {
        let id = match self.composite(ty) {
            Some(id) => id,
            None => return Err(fails("42704", format!("type \"{ty}\" does not exist")).unless(self.unknown_extension())),
        };
        for c in self.relation(id).map(|r| r.columns.clone()).unwrap_or_default() {
            rel.push_column(Column { origin: self.now, comment: None, ..c });
        }
        Ok(())
    }

    /// The columns written in the statement and those of LIKE, in the order in which they stand.
    fn own_columns(&mut self, rel: &mut Relation, t: &CreateTable) -> Res<()> {
        let mut likes = t.likes.iter().peekable();
        let merged = !rel.columns.is_empty();
        for def in &t.columns {
            while let Some(like) = likes.next_if(|l| l.table.name.span.start < def.name.span.start) {
                self.like_columns(rel, like)?;
            }
            let mut column = self.define_column(rel, def)?;
            let existing = rel.columns.iter().position(|c| c.name == column.name);
            match existing {
                Some(i) if merged && rel.columns[i].inherited => {
                    // A declaration of an inherited column adds to it.
                    let c = &mut rel.columns[i];
                    c.inherited = false;
                    c.not_null |= column.not_null;
                    if column.default.is_some() {
                        c.default = column.default.take();
                        c.default_volatility = column.default_volatility;
                        c.uses = std::mem::take(&mut column.uses);
                    }
                    if column.generated.is_some() {
                        c.generated = column.generated.take();
                    }
                    if t.partition_of.is_none() && t.of_type.is_none() && !def.ty.text.is_empty() && c.ty.name != column.ty.name {
                        return Err(fails("42804", format!("column \"{}\" has a type conflict", c.name)));
                    }
                }
                Some(i) if t.of_type.is_some() => {
                    let c = &mut rel.columns[i];
                    c.not_null |= column.not_null;
                    c.default = column.default.take();
                }
                Some(_) => return Err(fails("42701", format!("column \"{}\" specified more than once", column.name))),
                None => rel.push_column(column),
            }
        }
        for like in likes {
            self.like_columns(rel, like)?;
        }
        Ok(())
    }

    fn like_columns(&mut self, rel: &mut Relation, like: &LikeClause) -> Res<()> {
        let source = self.need_relation(&like.table)?;
        let Some(source) = self.shared(source) else { return Ok(()) };
        for sc in &source.columns {
            if rel.column(&sc.name).is_some() {
                return Err(fails("42701", format!("column \"{}\" specified more than once", sc.name)));
            }
            let mut c = Column::new(sc.name.clone(), sc.ty.clone(), self.now);
            c.not_null = sc.not_null;
            c.collation = sc.collation.clone();
            if sc.generated.is_some() {
                if includes(like, "GENERATED") {
                    c.generated = sc.generated.clone();
                }
            } else if includes(like, "DEFAULTS") {
                c.default = sc.default.clone();
                c.default_volatility = sc.default_volatility;
                c.uses = sc.uses.clone();
            }
            if includes(like, "STORAGE") {
                c.storage = sc.storage.clone();
            }
            if includes(like, "COMPRESSION") {
                c.compression = sc.compression.clone();
            }
            rel.push_column(c);
        }
        Ok(())
    }

    /// What LIKE copies beside the columns: identity, checks, indexes, statistics.
    fn like_objects(&mut self, id: Id, like: &LikeClause, source: Option<Id>) -> Res<()> {
        let Some(source) = source else { return Ok(()) };
        let Some(from) = self.shared(source) else { return Ok(()) };
        if includes(like, "IDENTITY") {
            for c in from.columns.iter().filter(|c| c.identity.is_some()) {
                self.make_identity(id, &c.name, c.identity.clone())?;
            }
        }
        if includes(like, "CONSTRAINTS") {
            for c in from.constraints.iter().filter(|c| matches!(c.kind, ConKind::Check { .. })) {
                let copy = Constraint { inherited: false, origin: self.now, comment: None, validated: c.enforced, ..c.clone() };
                self.edit(id, |r| r.constraints.push(copy));
            }
        }
        if includes(like, "INDEXES") {
            self.copy_indexes(source, id)?;
        }
        Ok(())
    }

    /// A column as its definition says, without what needs the table to be there first.
    pub(super) fn define_column(&mut self, rel: &Relation, def: &ColumnDef) -> Res<Column> {
        let name = clip(def.name.as_str());
        if rel.kind != RelKind::Composite && rel.view.is_none() && is_system_column(&name) {
            return Err(fails("42701", format!("column name \"{name}\" conflicts with a system column name")));
        }
        // `CREATE TABLE … PARTITION OF p (a DEFAULT 1)` and `OF type` name columns without their types.
        let ty = match rel.column(&name) {
            Some(c) if def.ty.name.as_str().is_empty() => c.ty.clone(),
            _ => self.need_type(&def.ty)?,
        };
        if matches!(ty.name.as_str(), "unknown" | "record" | "trigger" | "void" | "any" | "event_trigger") && ty.id.is_none() {
            return Err(fails("42P16", format!("column \"{name}\" has pseudo-type {ty}")).unless(ty.is_unknown()));
        }
        let mut c = Column::new(name, ty, self.now);
        c.collation = def.collation.as_ref().and_then(super::names::collation);
        c.not_null = def.nullable == Some(false) || is_serial(def) || def.identity.is_some();
        c.storage = def.storage.clone();
        c.compression = def.compression.clone();
        if def.identity.is_some() && (def.default.is_some() || is_serial(def)) {
            return Err(fails("42601", format!("both default and identity specified for column \"{}\" of table \"{}\"", c.name, rel.name)));
        }
        if def.generated.is_some() && def.default.is_some() {
            return Err(fails(
                "42601",
                format!("both default and generation expression specified for column \"{}\" of table \"{}\"", c.name, rel.name),
            ));
        }
        if let Some(e) = &def.default {
            self.set_column_default(&mut c, e)?;
        }
        if let Some(g) = &def.generated {
            if has_subquery(&g.expr) {
                return Err(fails("0A000", "cannot use subquery in column generation expression"));
            }
            if self.volatility_if_known(&g.expr).is_some_and(|v| v != crate::op::Volatility::Immutable) {
                return Err(fails("42P17", "generation expression is not immutable"));
            }
            c.uses = self.uses_of(&g.expr);
            let mut g = g.clone();
            g.stored |= g.implicit && !self.at_least(18);
            c.generated = Some(g);
            self.refuse_virtual(&c, &c.ty)?;
        }
        Ok(c)
    }

    /// Sets the default, or says why Postgres refuses it.
    pub(super) fn set_column_default(&self, c: &mut Column, e: &Expr) -> Res<()> {
        if has_subquery(e) {
            return Err(fails("0A000", "cannot use subquery in DEFAULT expression"));
        }
        if has_column(e) {
            return Err(fails("0A000", "cannot use column reference in DEFAULT expression"));
        }
        self.need_functions(e)?;
        super::casts::check_default(self, c, e)?;
        if self.is_no_default(&c.ty, e) {
            c.default = None;
            c.default_volatility = None;
            c.uses = Vec::new();
            return Ok(());
        }
        c.default = Some(e.clone());
        c.default_volatility = Some(self.volatility(e));
        c.uses = self.uses_of(e);
        Ok(())
    }

    /// DEFAULT NULL is no default at all, unless a length or a domain's checks make an expression of it.
    pub(super) fn is_no_default(&self, ty: &ColumnType, e: &Expr) -> bool {
        matches!(e.kind, ExprKind::Null) && ty.modifiers.is_empty() && !self.is_domain(ty)
    }

    fn is_domain(&self, ty: &ColumnType) -> bool {
        ty.id.and_then(|id| self.types.get(&id)).is_some_and(|t| matches!(t.kind, super::TypeKind::Domain { .. }))
    }

    fn check_partition_key(&self, rel: &Relation) -> Res<()> {
        let Some(by) = &rel.partition_by else { return Ok(()) };
        for key in &by.keys {
            if let Some(c) = super::names::simple_column(key) {
                if rel.column(c).is_none() && !rel.assumed {
                    return Err(fails("42703", format!("column \"{c}\" named in partition key does not exist")));
                }
            } else {
                self.columns_in(key, rel)?;
            }
        }
        Ok(())
    }

    /// CREATE TABLE AS and SELECT INTO.
    pub(super) fn create_table_as(&mut self, t: &CreateTableAs) -> Res<Applied> {
        let Some((schema, name)) = self.new_relation_name(&t.name, t.persistence, t.if_not_exists)? else {
            return Ok(Applied::skipped());
        };
        let analyzed = self.analyze(&t.query)?;
        let columns = super::views::named_columns(analyzed.columns, &t.columns, "42601", "too many column names were specified")?;
        too_wide(columns.len())?;
        let id = self.fresh();
        let mut rel = Relation::empty(id, schema, name, RelKind::Table, self.now);
        rel.persistence = t.persistence;
        rel.owner = self.current_role();
        for c in columns {
            // A bare column brings its collation along.
            let from = c.base.as_ref().and_then(|(table, name)| self.relation(*table)?.column(name));
            let collation = from.filter(|f| f.ty == c.ty).and_then(|f| f.collation.clone());
            rel.push_column(Column { collation, ..Column::new(c.name, c.ty, self.now) });
        }
        self.put(rel);
        self.default_grants(id, ObjectKind::Table);
        Ok(Applied::created(id))
    }

    pub(super) fn current_role(&self) -> Option<String> {
        self.settings.get("role").map(|s| s.value.clone())
    }
}

/// Columns that were dropped count as well.
pub(super) fn too_wide(columns: usize) -> Res<()> {
    if columns > 1600 { Err(fails("54011", "tables can have at most 1600 columns")) } else { Ok(()) }
}

/// Every constraint of the statement as it stands in the text: those of columns and those of the table.
fn constraints_of(t: &CreateTable) -> Vec<TableConstraint> {
    let mut all: Vec<TableConstraint> = t.columns.iter().flat_map(|c| c.constraints.iter()).chain(&t.constraints).cloned().collect();
    all.sort_by_key(|c| c.span.start);
    all
}

fn includes(like: &LikeClause, what: &str) -> bool {
    like.options.iter().rev().find(|(_, o)| o == what || o == "ALL").is_some_and(|(including, _)| *including)
}

pub(super) fn is_serial(def: &ColumnDef) -> bool {
    def.ty.name.schema.is_none()
        && matches!(def.ty.name.as_str(), "serial" | "bigserial" | "smallserial" | "serial2" | "serial4" | "serial8")
}

fn is_system_column(name: &str) -> bool {
    matches!(name, "ctid" | "xmin" | "xmax" | "cmin" | "cmax" | "tableoid")
}

/// An expression that is a column and nothing else.
pub(super) fn column_expr(name: &str) -> Expr {
    Expr { text: crate::quote::ident(name), span: Span::default(), kind: ExprKind::Column(vec![Name::new(name, Span::default())]) }
}

/// A type that is known to hold whole numbers.
pub(super) fn is_integer(ty: &ColumnType) -> bool {
    ty.array_dims == 0 && matches!(ty.name.as_str(), "integer" | "bigint" | "smallint")
}
