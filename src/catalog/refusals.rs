//! What Postgres refuses because of a type, an access method or a state, before it changes anything.

use std::collections::BTreeSet;

use crate::op::{
    AlterAction, AlterTarget, Dml, DmlKind, DomainAction, Expr, GrantOn, ObjectKind, Op, OpKind, QName, ReindexTarget, ReplicaIdentity,
};

use super::apply::{Res, fails};
use super::names::{clip, simple_column};
use super::refused_indexes::refuse_index_statistics;
use super::{Catalog, ColumnType, Id, RelKind, Relation, TypeKind};

impl Catalog {
    pub(super) fn refuse(&self, op: &Op) -> Res<()> {
        match &op.kind {
            OpKind::Alter { action: AlterAction::SetExpression { .. }, .. } if !self.at_least(17) => {
                Err(fails("42601", "syntax error at or near \"EXPRESSION\""))
            }
            OpKind::CreateIndex(i) => self.refuse_index(i),
            OpKind::RefreshView { name, concurrently, .. } => self.refuse_refresh(name, *concurrently),
            OpKind::Cluster { table: Some(table), index } => self.refuse_cluster(table, index.is_some()),
            OpKind::Dml(d) => {
                self.refuse_unidentified(d)?;
                self.refuse_unpopulated(d.reads())
            }
            // That rows of a materialized view cannot be locked is said first, elsewhere.
            OpKind::Query(q) if q.locking.is_none() => self.refuse_unpopulated(q.relations()),
            OpKind::CreateTableAs(t) if t.with_data => self.refuse_unpopulated(t.query.relations()),
            OpKind::CreateView(v) if v.materialized && v.with_data => self.refuse_unpopulated(v.query.relations()),
            OpKind::LockTable { tables, .. } => {
                let found = tables.iter().filter_map(|(t, _)| self.known(t)).find(|r| !r.kind.is_table() && r.kind != RelKind::View);
                found.map_or(Ok(()), |r| Err(fails("42809", format!("cannot lock relation \"{}\"", r.name))))
            }
            OpKind::AlterDomain { name, action } => self.refuse_domain(name, action),
            OpKind::Comment { object, .. } => {
                let kind = self.known(&object.name).map(|r| r.kind);
                let right = |k: RelKind| match object.kind {
                    ObjectKind::Table => k.is_table(),
                    ObjectKind::View => k == RelKind::View,
                    ObjectKind::MaterializedView => k == RelKind::MaterializedView,
                    ObjectKind::Index => k.is_index(),
                    ObjectKind::Sequence => k == RelKind::Sequence,
                    ObjectKind::ForeignTable => k == RelKind::ForeignTable,
                    _ => true,
                };
                let what = object.kind.to_string().to_ascii_lowercase().replace('-', " ");
                match kind.is_none_or(right) {
                    true => Ok(()),
                    false => Err(fails("42809", format!("\"{}\" is not a {what}", object.name.as_str()))),
                }
            }
            OpKind::Grant(g) => match &g.on {
                GrantOn::Objects(objects) => {
                    let wrong = |o: &&crate::op::ObjectRef| {
                        let kind = self.known(&o.name).map(|r| r.kind);
                        match o.kind {
                            ObjectKind::Sequence => kind.is_some_and(|k| k != RelKind::Sequence),
                            ObjectKind::Table => kind.is_some_and(|k| k.is_index() || k == RelKind::Composite),
                            _ => false,
                        }
                    };
                    let found = objects.iter().find(wrong);
                    found.map_or(Ok(()), |o| Err(fails("42809", format!("\"{}\" is not of the kind that is granted", o.name.as_str()))))
                }
                _ => Ok(()),
            },
            OpKind::CreateRule { table, .. } => match self.known(table) {
                Some(r) if r.kind == RelKind::MaterializedView => Err(fails("0A000", "rules on materialized views are not supported")),
                Some(r) if !r.kind.is_table() && r.kind != RelKind::View => {
                    Err(fails("42809", format!("relation \"{}\" cannot have rules", r.name)))
                }
                _ => Ok(()),
            },
            OpKind::Reindex { target: ReindexTarget::Table, name: Some(name), .. } => match self.known(name) {
                Some(r) if !r.kind.is_table() && r.kind != RelKind::MaterializedView => {
                    Err(fails("42809", format!("\"{}\" is not a table or materialized view", r.name)))
                }
                _ => Ok(()),
            },
            OpKind::CreateStatistics { exprs, table, .. } => self.refuse_statistics(exprs, table),
            _ => Ok(()),
        }
    }

    pub(super) fn known(&self, name: &QName) -> Option<&Relation> {
        self.relation(self.resolve(name)?).filter(|r| !r.assumed)
    }

    /// UPDATE and DELETE of a published table need something to find its rows by, whatever rows they mean.
    fn refuse_unidentified(&self, d: &Dml) -> Res<()> {
        let event = match d.kind {
            DmlKind::Update { .. } => "update",
            DmlKind::Delete => "delete",
            _ => return Ok(()),
        };
        let Some(rel) = self.known(&d.table) else { return Ok(()) };
        if rel.is_ruled(event) {
            return Ok(());
        }
        let left = self.left_by(rel.id, d.only, d.filter.as_ref());
        let tables = left.tables.into_iter().filter(|_| left.sure).filter_map(|id| self.relation(id));
        match { tables }.find(|r| self.cannot_be_told_apart(r, event)) {
            Some(r) => {
                let message =
                    format!("cannot {event} table \"{}\" because it does not have a replica identity and publishes {event}s", r.name);
                Err(fails("55000", message))
            }
            None => Ok(()),
        }
    }

    /// A materialized view WITH NO DATA cannot be read, not through other views either.
    fn refuse_unpopulated(&self, names: Vec<&QName>) -> Res<()> {
        self.refuse_unpopulated_below(names.into_iter().filter_map(|n| self.resolve(n)).collect())
    }

    pub(super) fn refuse_unpopulated_below(&self, ids: Vec<Id>) -> Res<()> {
        if let Some(view) = self.recursive_view(&ids) {
            return Err(fails("42P17", format!("infinite recursion detected in rules for relation \"{}\"", view.name)));
        }
        self.unpopulated(ids).map_or(Ok(()), |rel| {
            Err(fails("55000", format!("materialized view \"{}\" has not been populated", rel.name)).unless(rel.assumed))
        })
    }

    /// A view that reads itself, among these relations or below these views: it can be made, but not used.
    pub fn recursive_view(&self, ids: &[Id]) -> Option<&Relation> {
        fn enter<'c>(cat: &'c Catalog, id: Id, open: &mut Vec<Id>, done: &mut BTreeSet<Id>) -> Option<&'c Relation> {
            let rel = cat.relation(id).filter(|r| r.kind == RelKind::View)?;
            if open.contains(&id) {
                return Some(rel);
            }
            if !done.insert(id) {
                return None;
            }
            open.push(id);
            let found = rel.view.iter().flat_map(|v| &v.depends).find_map(|(below, _)| enter(cat, *below, open, done));
            open.pop();
            found
        }
        let mut done = BTreeSet::new();
        ids.iter().find_map(|id| enter(self, *id, &mut Vec::new(), &mut done))
    }

    /// A materialized view WITH NO DATA among these relations or below these views.
    pub fn unpopulated(&self, mut ids: Vec<Id>) -> Option<&Relation> {
        let mut next = 0;
        while let Some(rel) = ids.get(next).map(|id| self.relation(*id)) {
            next += 1;
            let Some((rel, view)) = rel.and_then(|r| Some((r, r.view.as_ref()?))) else { continue };
            match rel.kind {
                RelKind::MaterializedView if !view.populated => return Some(rel),
                RelKind::View => ids.extend(view.depends.iter().map(|(id, _)| *id).filter(|id| !ids.contains(id)).collect::<Vec<_>>()),
                _ => {}
            }
        }
        None
    }

    /// What checks values of a domain cannot look into arrays and composite types.
    fn refuse_domain(&self, name: &QName, action: &DomainAction) -> Res<()> {
        let Some(id) = self.type_id(name) else { return Ok(()) };
        let Some(TypeKind::Domain { not_null, checks: there, .. }) = self.types.get(&id).map(|t| &t.kind) else { return Ok(()) };
        let checks = match action {
            DomainAction::AddConstraint { not_valid, .. } => !not_valid,
            DomainAction::SetNotNull => !not_null,
            DomainAction::ValidateConstraint { name } => there.iter().any(|c| c.name == clip(name.as_str())),
            _ => false,
        };
        let found = self.domains_over(id).into_iter().filter(|_| checks).find_map(|d| Some((d, self.column_around(d)?)));
        let Some((domain, (r, c))) = found else { return Ok(()) };
        let name = self.types.get(&domain).map_or(name.as_str(), |t| &t.name);
        Err(fails("0A000", format!("cannot alter type \"{name}\" because column \"{}.{c}\" uses it", r.name)))
    }

    /// What USING makes of the column does not go into the new type.
    pub(super) fn refuse_cast(&self, using: &Expr, rel: &Relation, new: &ColumnType, name: &str) -> Res<()> {
        let result = |from: &ColumnType| {
            let message = format!("result of USING clause for column \"{name}\" cannot be cast automatically to type {new}");
            if super::casts::assignable(self, from, new) == Some(false) { Err(fails("42804", message)) } else { Ok(()) }
        };
        if let Some(c) = simple_column(using).and_then(|c| rel.column(&clip(c))) {
            return result(&c.ty);
        }
        match &using.kind {
            crate::op::ExprKind::Cast { ty, .. } => result(&self.resolve_type(ty)),
            _ => Ok(()),
        }
    }

    /// `column::type` anywhere in the expression, where no such cast exists.
    pub(super) fn refuse_written_casts(&self, e: &Expr, rel: &Relation) -> Res<()> {
        let mut casts = Vec::new();
        e.walk(&mut |e| {
            if let crate::op::ExprKind::Cast { expr, ty } = &e.kind {
                casts.push((simple_column(expr).and_then(|c| rel.column(&clip(c))), ty));
            }
        });
        casts.into_iter().try_for_each(|(column, to)| {
            let to = self.need_type(to)?;
            column.map_or(Ok(()), |c| super::casts::refuse_cast(self, &c.ty, &to))
        })
    }

    pub(super) fn refuse_alter(&self, rel: &Relation, target: &AlterTarget, action: &AlterAction) -> Res<()> {
        use AlterAction::*;
        if rel.assumed {
            return Ok(());
        }
        let column = |n: &str| rel.column(&clip(n));
        allowed_kinds(rel, action, self.pg.0)?;
        if let AttachPartition { bound, .. } = action
            && rel.kind == RelKind::PartitionedTable
        {
            super::bounds::refuse_bound_words(rel, bound)?;
        }
        if matches!(action, AttachPartition { .. }) && rel.kind == RelKind::PartitionedIndex {
            return Err(fails("42P17", format!("\"{}\" is not a partitioned table", rel.name)));
        }
        self.refuse_typed(rel, action)?;
        match action {
            Inherit { .. } if rel.kind == RelKind::PartitionedTable => {
                Err(fails("42809", "cannot change inheritance of partitioned table"))
            }
            Inherit { .. } | NoInherit { .. } if rel.is_partition() => Err(fails("42809", "cannot change inheritance of a partition")),
            AddIdentity { .. } | SetIdentity { .. } | DropIdentity { .. }
                if target.only && rel.kind == RelKind::PartitionedTable && self.at_least(17) =>
            {
                Err(fails("42P16", "cannot change the identity of a column of only the partitioned table"))
            }
            SetIdentity { .. } | DropIdentity { .. } if rel.is_partition() && self.at_least(17) => {
                Err(fails("42P16", "cannot change the identity of a column of a partition"))
            }
            DetachPartition { .. } if rel.kind == RelKind::Table && !self.at_least(18) => {
                Err(fails("42P17", format!("table \"{}\" is not partitioned", rel.name)))
            }
            SetSchema { schema } if rel.schema == super::resolve::TEMP && !rel.kind.is_index() => {
                if !self.schemas.contains_key(schema.as_str()) && self.complete {
                    return Err(fails("3F000", format!("schema \"{}\" does not exist", schema.as_str())));
                }
                Err(fails("0A000", "cannot move objects into or out of temporary schemas"))
            }
            AddColumn { column: c, .. }
                if c.identity.is_some()
                    && column(c.name.as_str()).is_none()
                    && !rel.is_partition()
                    && !self.children_of(rel.id).is_empty() =>
            {
                let handed_down = self.at_least(17) && rel.kind == RelKind::PartitionedTable;
                if handed_down {
                    Ok(())
                } else {
                    Err(fails("42P16", "cannot recursively add identity column to table that has child tables"))
                }
            }
            AttachPartition { .. } if rel.kind == RelKind::Table && !self.at_least(18) => {
                Err(fails("42P17", format!("table \"{}\" is not partitioned", rel.name)))
            }
            SetOptions { .. } if rel.kind == RelKind::PartitionedTable => {
                let state = if self.at_least(16) { "42809" } else { "22023" };
                Err(fails(state, "cannot specify storage parameters for a partitioned table"))
            }
            RenameConstraint { .. } if rel.kind == RelKind::Sequence => {
                Err(fails("42809", format!("cannot rename columns of relation \"{}\"", rel.name)))
            }
            RenameConstraint { from, .. } => match rel.constraint(&clip(from.as_str())) {
                Some(c) if c.inherited && matches!(c.kind, super::ConKind::NotNull { .. }) || self.not_null_from_above(rel, c) => {
                    Err(fails("42P16", format!("cannot rename inherited constraint \"{}\"", c.name)))
                }
                Some(c)
                    if target.only
                        && !c.no_inherit
                        && matches!(c.kind, super::ConKind::Check { .. })
                        && !self.children_of(rel.id).is_empty() =>
                {
                    Err(fails("42P16", format!("inherited constraint \"{}\" must be renamed in child tables too", c.name)))
                }
                _ => Ok(()),
            },
            SetLogged { logged } => self.refuse_persistence(rel, *logged),
            DropExpression { column: c, .. } => {
                let name = clip(c.as_str());
                let from_above = rel.parents.iter().any(|p| self.relation(*p).is_some_and(|p| p.column(&name).is_some()));
                match column(c.as_str()) {
                    Some(_) if from_above => Err(fails("42P16", "cannot drop generation expression from inherited column")),
                    _ => Ok(()),
                }
            }
            DetachPartition { partition, finalize: true, .. } => match self.resolve(partition).and_then(|id| self.relation(id)) {
                // A detach that was interrupted is not something that a migration leaves behind.
                Some(p) if p.parents.contains(&rel.id) => {
                    Err(fails("55000", format!("cannot complete detaching partition \"{}\"", p.name)).unless(p.assumed))
                }
                _ => Ok(()),
            },
            SetStorage { column: c, storage } if !storage.eq_ignore_ascii_case("plain") && !storage.eq_ignore_ascii_case("default") => {
                match column(c.as_str()) {
                    Some(c) if self.toastable(&c.ty) == Some(false) => {
                        Err(fails("0A000", format!("column data type {} can only have storage PLAIN", c.ty)))
                    }
                    _ => Ok(()),
                }
            }
            SetCompression { column: c, .. } => match column(c.as_str()) {
                Some(c) if self.toastable(&c.ty) == Some(false) => {
                    Err(fails("0A000", format!("column data type {} does not support compression", c.ty)))
                }
                _ => Ok(()),
            },
            SetStatistics { column: c, .. } => match &rel.index {
                Some(i) => refuse_index_statistics(rel, i, c),
                None => match column(c) {
                    Some(v) if self.at_least(18) && v.generated.as_ref().is_some_and(|g| !g.stored) => {
                        Err(fails("0A000", format!("cannot alter statistics on virtual generated column \"{}\"", v.name)))
                    }
                    _ => Ok(()),
                },
            },
            SetWithoutCluster | ClusterOn { .. } if rel.kind == RelKind::PartitionedTable => {
                Err(fails("0A000", "cannot mark index clustered in partitioned table"))
            }
            SetSchema { .. } if target.kind != ObjectKind::Table || rel.kind == RelKind::Sequence => {
                match rel.sequence.as_ref().and_then(|s| s.owned_by.as_ref()) {
                    // Even where it would stay in its schema.
                    Some(_) => Err(fails("0A000", "cannot move an owned sequence into another schema")),
                    None => Ok(()),
                }
            }
            AddIdentity { column: c, .. } => match column(c.as_str()) {
                Some(c) if self.is_no_integer(&c.ty) => Err(fails("22023", "identity column type must be smallint, integer, or bigint")),
                _ if rel.is_partition() && self.at_least(17) => Err(fails("42P16", "cannot add identity to a column of a partition")),
                _ => Ok(()),
            },
            ReplicaIdentity { identity: self::ReplicaIdentity::Index(name) } => self.refuse_identity_index(rel, &clip(name.as_str())),
            AttachPartition { partition, .. } if rel.kind == RelKind::PartitionedTable => {
                let part = self.resolve(partition).and_then(|id| self.relation(id)).filter(|p| !p.is_partition() && p.parents.is_empty());
                if part.is_some_and(|p| p.kind == RelKind::Table && !self.children_of(p.id).is_empty()) {
                    return Err(fails("42809", "cannot attach inheritance parent as partition"));
                }
                if part.is_some_and(|p| p.id == rel.id || self.descendants_of(p.id).contains(&rel.id)) {
                    return Err(fails("42P07", "circular inheritance not allowed"));
                }
                Ok(())
            }
            AlterConstraint { .. } if target.only && rel.kind == RelKind::PartitionedTable && self.at_least(18) => {
                Err(fails("42P16", "constraint must be altered in child tables too"))
            }
            AlterConstraint { name, .. } => match rel.constraint(&clip(name.as_str())) {
                Some(c) if c.inherited && rel.is_partition() && matches!(c.kind, super::ConKind::ForeignKey { .. }) => {
                    let state = if self.at_least(18) { "55000" } else { "XX000" };
                    Err(fails(state, format!("cannot alter constraint \"{}\" on relation \"{}\"", c.name, rel.name)))
                }
                _ => Ok(()),
            },
            SetSchema { .. } if rel.kind.is_index() => Err(fails("42809", format!("cannot change schema of index \"{}\"", rel.name))),
            Owner { .. } if rel.kind == RelKind::PartitionedIndex => {
                Err(fails("42809", format!("cannot change owner of index \"{}\"", rel.name)))
            }
            _ => Ok(()),
        }
    }

    /// A NOT NULL that a table above has too.
    fn not_null_from_above(&self, rel: &Relation, c: &super::Constraint) -> bool {
        let super::ConKind::NotNull { column } = &c.kind else { return false };
        rel.parents.iter().filter_map(|p| self.relation(*p)).any(|p| p.column(column).is_some_and(|c| c.not_null))
    }

    /// SET LOGGED and SET UNLOGGED.
    fn refuse_persistence(&self, rel: &Relation, logged: bool) -> Res<()> {
        use crate::op::Persistence::{Temporary, Unlogged};
        if rel.persistence == Temporary {
            return Err(fails("42P16", format!("cannot change logged status of table \"{}\" because it is temporary", rel.name)));
        }
        if logged != (rel.persistence == Unlogged) {
            return Ok(());
        }
        if !logged && self.objects_of(ObjectKind::Publication).any(|o| o.relations.contains(&rel.id)) {
            return Err(fails("55000", format!("cannot change table \"{}\" to unlogged because it is part of a publication", rel.name)));
        }
        // A logged table may not lean on an unlogged one.
        let other = if logged {
            rel.constraints.iter().find_map(|c| match &c.kind {
                super::ConKind::ForeignKey { table, .. } if *table != rel.id => {
                    self.relation(*table).filter(|r| r.persistence == Unlogged).map(|r| r.name.clone())
                }
                _ => None,
            })
        } else {
            let users = self.foreign_keys_reaching(rel.id);
            users.into_iter().find(|(r, _)| r.id != rel.id && r.persistence != Unlogged).map(|(r, _)| r.name.clone())
        };
        match other {
            Some(other) => Err(fails("42P16", format!("could not change the table \"{}\" because of \"{other}\"", rel.name))),
            None => Ok(()),
        }
    }

    fn is_no_integer(&self, ty: &ColumnType) -> bool {
        let other = ty.id.and_then(|id| self.types.get(&id)).is_some_and(|t| matches!(t.kind, TypeKind::Other));
        !ty.is_unknown() && !other && (ty.id.is_some() || ty.is_array() || !matches!(ty.name.as_str(), "smallint" | "integer" | "bigint"))
    }

    /// Values of the type can be stored outside of their row; `None`: nobody here knows.
    fn toastable(&self, ty: &ColumnType) -> Option<bool> {
        if ty.is_array() {
            return Some(true);
        }
        if let Some(t) = ty.id.and_then(|id| self.types.get(&id)) {
            return match &t.kind {
                TypeKind::Enum { .. } => Some(false),
                TypeKind::Domain { base, .. } => self.toastable(base),
                TypeKind::Composite { .. } | TypeKind::Range => Some(true),
                TypeKind::Other => None,
            };
        }
        match ty.name.as_str() {
            "smallint"
            | "integer"
            | "bigint"
            | "real"
            | "double precision"
            | "boolean"
            | "date"
            | "timestamp with time zone"
            | "timestamp without time zone"
            | "time with time zone"
            | "time without time zone"
            | "interval"
            | "uuid"
            | "money"
            | "oid"
            | "name"
            | "point"
            | "box"
            | "circle"
            | "line"
            | "lseg"
            | "macaddr"
            | "macaddr8"
            | "\"char\"" => Some(false),
            "unknown" => None,
            _ => Some(true),
        }
    }
}

/// `ATSimplePermissions`: the kinds of relations that a subcommand is for.
fn allowed_kinds(rel: &Relation, action: &AlterAction, pg: u8) -> Res<()> {
    use AlterAction::*;
    use RelKind::*;
    let (what, kinds): (&str, &[RelKind]) = match action {
        SetDefault { .. } | DropDefault { .. } => ("ALTER COLUMN ... SET DEFAULT", &[Table, PartitionedTable, View, ForeignTable]),
        AddIdentity { .. } | SetIdentity { .. } | DropIdentity { .. } => {
            ("ALTER COLUMN ... IDENTITY", &[Table, PartitionedTable, View, ForeignTable])
        }
        SetNotNull { .. } | DropNotNull { .. } | SetExpression { .. } | DropExpression { .. } => {
            ("ALTER COLUMN", &[Table, PartitionedTable, ForeignTable])
        }
        SetStatistics { .. } => {
            ("ALTER COLUMN ... SET STATISTICS", &[Table, PartitionedTable, MaterializedView, Index, PartitionedIndex, ForeignTable])
        }
        SetColumnOptions { .. } | SetStorage { .. } => ("ALTER COLUMN ... SET", &[Table, PartitionedTable, MaterializedView, ForeignTable]),
        SetCompression { .. } => ("ALTER COLUMN ... SET COMPRESSION", &[Table, PartitionedTable, MaterializedView]),
        SetType { .. } => ("ALTER COLUMN ... SET DATA TYPE", &[Table, PartitionedTable, Composite, ForeignTable]),
        DropConstraint { .. } | ValidateConstraint { .. } => ("CONSTRAINT", &[Table, PartitionedTable, ForeignTable]),
        AttachPartition { .. } if pg >= 18 => ("ATTACH PARTITION", &[PartitionedTable, PartitionedIndex]),
        AttachPartition { .. } => ("ATTACH PARTITION", &[Table, PartitionedTable, PartitionedIndex]),
        AttachIndex { .. } => ("ATTACH PARTITION", &[PartitionedTable, PartitionedIndex]),
        AlterConstraint { .. } => ("ALTER CONSTRAINT", &[Table, PartitionedTable]),
        ClusterOn { .. } | SetWithoutCluster => ("CLUSTER ON", &[Table, PartitionedTable, MaterializedView]),
        SetLogged { .. } if pg >= 18 => ("SET LOGGED", &[Table, Sequence]),
        SetLogged { .. } if pg >= 15 => ("SET LOGGED", &[Table, PartitionedTable, Sequence]),
        SetLogged { .. } => ("SET LOGGED", &[Table, PartitionedTable]),
        SetWithoutOids | Inherit { .. } | NoInherit { .. } => ("SET", &[Table, PartitionedTable, ForeignTable]),
        SetAccessMethod { .. } if pg >= 17 => ("SET ACCESS METHOD", &[Table, PartitionedTable, MaterializedView]),
        SetAccessMethod { .. } => ("SET ACCESS METHOD", &[Table, MaterializedView]),
        SetTablespace { .. } => ("SET TABLESPACE", &[Table, PartitionedTable, MaterializedView, Index, PartitionedIndex]),
        SetOptions { .. } | ResetOptions { .. } => ("SET", &[Table, PartitionedTable, View, MaterializedView, Index]),
        Trigger { .. } => ("ENABLE TRIGGER", &[Table, PartitionedTable, ForeignTable]),
        Rule { .. } | EnableRowSecurity | DisableRowSecurity | ForceRowSecurity | NoForceRowSecurity | OfType { .. } | NotOf => {
            ("ENABLE", &[Table, PartitionedTable])
        }
        AlterAction::ReplicaIdentity { .. } => ("REPLICA IDENTITY", &[Table, PartitionedTable, MaterializedView]),
        DetachPartition { .. } if pg >= 18 => ("DETACH PARTITION", &[PartitionedTable]),
        DetachPartition { .. } => ("DETACH PARTITION", &[Table, PartitionedTable]),
        _ => return Ok(()),
    };
    if kinds.contains(&rel.kind) { Ok(()) } else { Err(super::alter::wrong_kind(rel, what)) }
}
