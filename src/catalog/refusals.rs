//! What Postgres refuses because of a type, an access method or a state, before it changes anything.

use crate::op::{AlterAction, AlterTarget, CreateIndex, Expr, ObjectKind, Op, OpKind, PartitionBound, QName, ReplicaIdentity};

use super::apply::{Res, fails};
use super::names::{clip, simple_column};
use super::{Catalog, ColumnType, Id, Index, RelKind, Relation, TypeKind};

impl Catalog {
    pub(super) fn refuse(&self, op: &Op) -> Res<()> {
        match &op.kind {
            OpKind::CreateIndex(i) => self.refuse_index(i),
            OpKind::RefreshView { name, concurrently, .. } => self.refuse_refresh(name, *concurrently),
            OpKind::Cluster { table: Some(table), index } => self.refuse_cluster(table, index.is_some()),
            OpKind::CreateStatistics { exprs, table, .. } => self.refuse_statistics(exprs, table),
            _ => Ok(()),
        }
    }

    fn known(&self, name: &QName) -> Option<&Relation> {
        self.relation(self.resolve(name)?).filter(|r| !r.assumed)
    }

    /// What the access method can do is asked before the columns are looked up.
    fn refuse_index(&self, i: &CreateIndex) -> Res<()> {
        let method = i.method.as_deref().unwrap_or("btree");
        let Some(can) = abilities(method) else { return Ok(()) };
        let not = |what: &str| Err(fails("0A000", format!("access method \"{method}\" does not support {what}")));
        if i.unique && !can.unique {
            return not("unique indexes");
        }
        if !i.include.is_empty() && !can.include {
            return not("included columns");
        }
        if i.elements.len() > 1 && !can.multicolumn {
            return not("multicolumn indexes");
        }
        if !can.ordered {
            if i.elements.iter().any(|e| e.descending) {
                return not("ASC/DESC options");
            }
            if i.elements.iter().any(|e| e.nulls_first.is_some()) {
                return not("NULLS FIRST/LAST options");
            }
        }
        Ok(())
    }

    fn refuse_refresh(&self, name: &QName, concurrently: bool) -> Res<()> {
        let Some(rel) = self.known(name) else { return Ok(()) };
        if rel.kind.is_table() {
            return Err(fails("0A000", format!("\"{}\" is not a materialized view", rel.name)));
        }
        if concurrently && rel.view.as_ref().is_some_and(|v| !v.populated) && rel.kind == RelKind::MaterializedView {
            return Err(fails("0A000", "CONCURRENTLY cannot be used when the materialized view is not populated"));
        }
        Ok(())
    }

    fn refuse_cluster(&self, table: &QName, by_index: bool) -> Res<()> {
        let Some(rel) = self.known(table) else { return Ok(()) };
        if !rel.kind.is_table() && rel.kind != RelKind::MaterializedView {
            return Err(fails("42809", format!("\"{}\" is not a table or materialized view", rel.name)));
        }
        if rel.kind == RelKind::PartitionedTable && !self.at_least(15) {
            return Err(fails("0A000", "cannot cluster a partitioned table"));
        }
        let clustered = rel.clustered_on.is_some_and(|i| self.relation(i).is_some());
        if !by_index && !clustered {
            return Err(fails("42704", format!("there is no previously clustered index for table \"{}\"", rel.name)));
        }
        Ok(())
    }

    /// `check_index_is_clusterable`.
    pub(super) fn clusterable(&self, index: &Relation) -> Res<()> {
        let Some(i) = &index.index else { return Ok(()) };
        let refused = |why: String| Err(fails("0A000", why));
        if !matches!(i.method.as_str(), "btree" | "gist") {
            return refused(format!("cannot cluster on index \"{}\" because access method does not support clustering", index.name));
        }
        if i.filter.is_some() {
            return refused(format!("cannot cluster on partial index \"{}\"", index.name));
        }
        if !i.valid {
            return refused(format!("cannot cluster on invalid index \"{}\"", index.name));
        }
        Ok(())
    }

    fn refuse_statistics(&self, exprs: &[Expr], table: &QName) -> Res<()> {
        let Some(rel) = self.known(table) else { return Ok(()) };
        if !matches!(rel.kind, RelKind::Table | RelKind::PartitionedTable | RelKind::MaterializedView | RelKind::ForeignTable) {
            return Err(fails("42809", format!("cannot define statistics for relation \"{}\"", rel.name)));
        }
        let mut columns: Vec<String> = Vec::new();
        for e in exprs {
            let Some(name) = simple_column(e).map(clip) else { continue };
            let Some(c) = rel.column(&name) else { continue };
            if super::casts::indexable(&c.ty, "btree") == Some(false) {
                let message =
                    format!("column \"{name}\" cannot be used in statistics because its type has no default btree operator class");
                return Err(fails("0A000", message));
            }
            columns.push(name);
        }
        if columns.len() == 1 && exprs.len() == 1 {
            return Err(fails("42P17", "extended statistics require at least 2 columns"));
        }
        columns.sort();
        if columns.windows(2).any(|p| p[0] == p[1]) {
            return Err(fails("42701", "duplicate column name in statistics definition"));
        }
        Ok(())
    }

    pub(super) fn refuse_alter(&self, rel: &Relation, target: &AlterTarget, action: &AlterAction) -> Res<()> {
        use AlterAction::*;
        if rel.assumed {
            return Ok(());
        }
        let column = |n: &str| rel.column(&clip(n));
        match action {
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
                None => Ok(()),
            },
            SetType { column: c, using: Some(_), .. } if column(c.as_str()).is_some_and(|c| c.generated.is_some()) => {
                Err(fails("42611", "cannot specify USING when altering type of generated column"))
            }
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
                _ => Ok(()),
            },
            ReplicaIdentity { identity: self::ReplicaIdentity::Index(name) } => self.refuse_identity_index(rel, &clip(name.as_str())),
            AttachPartition { bound, .. } if rel.kind == RelKind::PartitionedTable => self.refuse_bound(rel.id, bound),
            _ => Ok(()),
        }
    }

    fn is_no_integer(&self, ty: &ColumnType) -> bool {
        !ty.is_unknown() && ty.id.is_none() && (ty.is_array() || !matches!(ty.name.as_str(), "smallint" | "integer" | "bigint"))
    }

    fn refuse_identity_index(&self, rel: &Relation, name: &str) -> Res<()> {
        let Some(index) = self.relation_named(&rel.schema, name) else { return Ok(()) };
        let Some(i) = index.index.as_ref().filter(|i| i.table == rel.id) else {
            return Err(fails("42809", format!("\"{name}\" is not an index for table \"{}\"", rel.name)));
        };
        let refused = |state: &'static str, why: &str| Err(fails(state, format!("cannot use {why} index \"{name}\" as replica identity")));
        if !i.unique {
            return refused("42809", "non-unique");
        }
        if i.deferrable {
            return refused("0A000", "non-immediate");
        }
        if i.columns.iter().any(Option::is_none) {
            return refused("0A000", "expression");
        }
        if i.filter.is_some() {
            return refused("0A000", "partial");
        }
        if !i.valid && !self.at_least(18) {
            return refused("0A000", "invalid");
        }
        for c in i.columns.iter().flatten() {
            if rel.column(c).is_some_and(|c| !c.not_null) {
                let message = format!("index \"{name}\" cannot be used as replica identity because column \"{c}\" is nullable");
                return Err(fails("42809", message));
            }
        }
        Ok(())
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

    /// `check_new_partition_bound`: the kind of bound and what other partitions hold already.
    pub(super) fn refuse_bound(&self, parent: Id, bound: &PartitionBound) -> Res<()> {
        let Some(rel) = self.relation(parent) else { return Ok(()) };
        let strategy = rel.partition_by.as_ref().map_or("", |p| p.strategy.as_str());
        let others: Vec<(&str, &PartitionBound)> = self
            .children_of(parent)
            .into_iter()
            .filter_map(|id| self.relation(id))
            .filter_map(|r| Some((r.name.as_str(), r.partition_bound.as_ref()?)))
            .collect();
        let kind = match bound {
            PartitionBound::Default if strategy == "hash" => {
                return Err(fails("42P16", "a hash-partitioned table may not have a default partition"));
            }
            PartitionBound::Default => strategy,
            PartitionBound::List(_) => "list",
            PartitionBound::Range { .. } => "range",
            PartitionBound::Hash { .. } => "hash",
        };
        if kind != strategy && !strategy.is_empty() {
            return Err(fails("42P16", format!("invalid bound specification for a {strategy} partition")));
        }
        if let PartitionBound::Range { from, to } = bound
            && let (Some(f), Some(t)) = (single(from), single(to))
            && f >= t
        {
            return Err(fails("42P17", "empty range bound specified for partition"));
        }
        match others.iter().find(|(_, other)| clash(bound, other)) {
            Some((name, PartitionBound::Default)) => {
                Err(fails("42P17", format!("partition conflicts with existing default partition \"{name}\"")))
            }
            Some((name, _)) => Err(fails("42P17", format!("partition would overlap partition \"{name}\""))),
            None => Ok(()),
        }
    }
}

/// ALTER INDEX … ALTER COLUMN n SET STATISTICS is for expressions.
fn refuse_index_statistics(rel: &Relation, i: &Index, column: &str) -> Res<()> {
    let Ok(n) = column.parse::<usize>() else { return Ok(()) };
    if n > i.columns.len() + i.include.len() {
        return Err(fails("42703", format!("column number {n} of relation \"{}\" does not exist", rel.name)));
    }
    let include = n > i.columns.len();
    if include || i.columns.get(n.wrapping_sub(1)).is_some_and(Option::is_some) {
        return Err(fails("0A000", format!("cannot alter statistics on non-expression column {n} of index \"{}\"", rel.name)));
    }
    Ok(())
}

/// Two bounds that both take some row; only said of constants that are plainly numbers or the same words.
fn clash(a: &PartitionBound, b: &PartitionBound) -> bool {
    use PartitionBound::*;
    match (a, b) {
        (Default, Default) => true,
        (List(a), List(b)) => a.iter().any(|x| b.iter().any(|y| x.text.trim() == y.text.trim())),
        (Range { from: f, to: t }, Range { from: g, to: u }) => match (single(f), single(t), single(g), single(u)) {
            (Some(f), Some(t), Some(g), Some(u)) => f < u && g < t,
            _ => false,
        },
        (Hash { modulus: m, remainder: r }, Hash { modulus: n, remainder: s }) => {
            match (m.parse::<u32>(), r.parse::<u32>(), n.parse::<u32>(), s.parse::<u32>()) {
                (Ok(m), Ok(r), Ok(n), Ok(s)) if m > 0 && n > 0 => r % m.min(n) == s % m.min(n),
                _ => false,
            }
        }
        _ => false,
    }
}

/// The one key of a range bound as a number.
fn single(keys: &[Expr]) -> Option<i128> {
    let [e] = keys else { return None };
    match e.text.trim().to_ascii_uppercase().as_str() {
        "MINVALUE" => Some(i128::MIN),
        "MAXVALUE" => Some(i128::MAX),
        t => t.trim_matches('\'').parse::<i64>().ok().map(i128::from),
    }
}

struct Abilities {
    unique: bool,
    include: bool,
    multicolumn: bool,
    ordered: bool,
}

fn abilities(method: &str) -> Option<Abilities> {
    let a = |unique, include, multicolumn, ordered| Some(Abilities { unique, include, multicolumn, ordered });
    match method {
        "btree" => a(true, true, true, true),
        "hash" => a(false, false, false, false),
        "gist" => a(false, true, true, false),
        "spgist" => a(false, true, false, false),
        "gin" | "brin" => a(false, false, true, false),
        _ => None,
    }
}
