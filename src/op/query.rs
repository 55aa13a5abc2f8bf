//! Queries and statements that change rows.

use crate::source::Span;

use super::{Expr, ExprKind, Name, QName};

/// A query (SELECT, VALUES, TABLE, set operation, or a data-modifying statement inside WITH).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub text: String,
    pub span: Span,
    pub ctes: Vec<Cte>,
    pub body: QueryBody,
    pub order_by: Vec<Expr>,
    pub limit: Option<Expr>,
    pub offset: Option<Expr>,
    pub locking: Option<RowLock>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cte {
    pub name: Name,
    pub columns: Vec<Name>,
    /// WITH RECURSIVE: the query sees itself and all its neighbours.
    pub recursive: bool,
    pub body: Box<OpKindQuery>,
}

/// What a CTE may hold.
#[expect(clippy::large_enum_variant, reason = "always behind a box or in a short list")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpKindQuery {
    Query(Query),
    Dml(Dml),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryBody {
    Select(Box<Select>),
    Values(Vec<Vec<Expr>>),
    /// UNION, INTERSECT, EXCEPT.
    SetOp(Box<Query>, Box<Query>),
    Table(QName),
    /// INSERT … RETURNING and so on used as a query body.
    Dml(Box<Dml>),
    /// Not understood; `text` of the query still stands.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Select {
    /// DISTINCT and DISTINCT ON.
    pub distinct: bool,
    pub distinct_on: Vec<Expr>,
    pub targets: Vec<Target>,
    pub from: Vec<FromItem>,
    pub filter: Option<Expr>,
    pub group_by: Vec<Expr>,
    pub having: Option<Expr>,
    /// Partition and sort keys of the WINDOW clause.
    pub windows: Vec<Expr>,
    /// SELECT … INTO new_table.
    pub into: Option<QName>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub expr: Expr,
    pub alias: Option<Name>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromItem {
    Table { name: QName, only: bool, alias: Option<Name>, columns: Vec<Name>, sample: bool },
    Query { query: Box<Query>, alias: Option<Name>, columns: Vec<Name>, lateral: bool },
    Function { call: Expr, alias: Option<Name>, columns: Vec<Name> },
    Join { left: Box<FromItem>, right: Box<FromItem>, natural: bool, using: Vec<Name>, on: Option<Expr> },
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowLock {
    KeyShare,
    Share,
    NoKeyUpdate,
    Update,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dml {
    pub span: Span,
    pub ctes: Vec<Cte>,
    pub kind: DmlKind,
    pub table: QName,
    pub only: bool,
    pub alias: Option<Name>,
    /// UPDATE … FROM, DELETE … USING, MERGE … USING.
    pub from: Vec<FromItem>,
    pub filter: Option<Expr>,
    pub returning: Vec<Target>,
}

#[expect(clippy::large_enum_variant, reason = "always behind a box or in a short list")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DmlKind {
    Insert {
        /// `None`: no column list.
        columns: Option<Vec<Name>>,
        source: InsertSource,
        overriding: bool,
        on_conflict: Option<OnConflict>,
    },
    Update {
        set: Vec<Assignment>,
    },
    Delete,
    Merge {
        on: Option<Expr>,
        actions: Vec<DmlKind>,
        /// Of `WHEN … AND condition`, all that there are.
        conditions: Vec<Expr>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsertSource {
    Default,
    Query(Box<Query>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnConflict {
    pub target: ConflictTarget,
    /// Empty: DO NOTHING.
    pub set: Vec<Assignment>,
    pub filter: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConflictTarget {
    Any,
    /// Index expressions (columns mostly) and the predicate of a partial index.
    Columns(Vec<Expr>, Option<Expr>),
    Constraint(Name),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub columns: Vec<Name>,
    pub value: Expr,
}

/// Anything that can be asked about "which relations does this read".
impl Query {
    pub fn walk_exprs<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        for c in &self.ctes {
            match &*c.body {
                OpKindQuery::Query(q) => q.walk_exprs(f),
                OpKindQuery::Dml(d) => d.walk_exprs(f),
            }
        }
        match &self.body {
            QueryBody::Select(s) => {
                s.targets.iter().for_each(|t| t.expr.walk(f));
                s.from.iter().for_each(|i| i.walk_exprs(f));
                s.distinct_on.iter().chain(&s.filter).chain(&s.group_by).chain(&s.having).chain(&s.windows).for_each(|e| e.walk(f));
            }
            QueryBody::Values(rows) => rows.iter().flatten().for_each(|e| e.walk(f)),
            QueryBody::SetOp(l, r) => {
                l.walk_exprs(f);
                r.walk_exprs(f);
            }
            QueryBody::Dml(d) => d.walk_exprs(f),
            QueryBody::Table(_) | QueryBody::Other => {}
        }
        self.order_by.iter().chain(&self.limit).chain(&self.offset).for_each(|e| e.walk(f));
    }

    /// Every relation named in FROM anywhere in the query, subqueries and CTE bodies included, CTE names left out.
    pub fn relations(&self) -> Vec<&QName> {
        let mut out = Vec::new();
        self.collect_relations(&mut Vec::new(), &mut out);
        out
    }

    fn collect_relations<'a>(&'a self, hidden: &mut Vec<&'a str>, out: &mut Vec<&'a QName>) {
        let depth = hidden.len();
        collect_ctes(&self.ctes, hidden, out);
        match &self.body {
            QueryBody::Select(s) => {
                s.from.iter().for_each(|i| i.collect_relations(hidden, out));
                for e in s
                    .targets
                    .iter()
                    .map(|t| &t.expr)
                    .chain(&s.distinct_on)
                    .chain(&s.filter)
                    .chain(&s.group_by)
                    .chain(&s.having)
                    .chain(&s.windows)
                {
                    collect_expr_relations(e, hidden, out);
                }
            }
            QueryBody::Values(rows) => rows.iter().flatten().for_each(|e| collect_expr_relations(e, hidden, out)),
            QueryBody::SetOp(l, r) => {
                l.collect_relations(hidden, out);
                r.collect_relations(hidden, out);
            }
            QueryBody::Table(t) => push_unless_hidden(t, hidden, out),
            QueryBody::Dml(d) => d.collect_relations(hidden, out),
            QueryBody::Other => {}
        }
        self.order_by.iter().chain(&self.limit).chain(&self.offset).for_each(|e| collect_expr_relations(e, hidden, out));
        hidden.truncate(depth);
    }
}

/// A query of a plain WITH sees the names before its own; one of WITH RECURSIVE sees all of them, its own included.
fn collect_ctes<'a>(ctes: &'a [Cte], hidden: &mut Vec<&'a str>, out: &mut Vec<&'a QName>) {
    hidden.extend(ctes.iter().filter(|c| c.recursive).map(|c| c.name.as_str()));
    for c in ctes {
        match &*c.body {
            OpKindQuery::Query(q) => q.collect_relations(hidden, out),
            OpKindQuery::Dml(d) => d.collect_relations(hidden, out),
        }
        if !c.recursive {
            hidden.push(&c.name.value);
        }
    }
}

fn push_unless_hidden<'a>(name: &'a QName, hidden: &[&str], out: &mut Vec<&'a QName>) {
    if name.schema.is_some() || !hidden.contains(&name.as_str()) {
        out.push(name);
    }
}

fn collect_expr_relations<'a>(e: &'a Expr, hidden: &mut Vec<&'a str>, out: &mut Vec<&'a QName>) {
    // `walk` enters subqueries by itself and would lose which names their CTEs hide, so they are taken here only at the top.
    match &e.kind {
        ExprKind::Subquery(q) => q.collect_relations(hidden, out),
        ExprKind::Call(c) => c.args.iter().for_each(|e| collect_expr_relations(e, hidden, out)),
        ExprKind::Cast { expr, .. } | ExprKind::Unary { expr, .. } | ExprKind::IsNull { expr, .. } | ExprKind::Collate { expr, .. } => {
            collect_expr_relations(expr, hidden, out)
        }
        ExprKind::Binary { left, right, .. } => {
            collect_expr_relations(left, hidden, out);
            collect_expr_relations(right, hidden, out);
        }
        ExprKind::Array(v) | ExprKind::Row(v) | ExprKind::Case(v) | ExprKind::Other(v) => {
            v.iter().for_each(|e| collect_expr_relations(e, hidden, out))
        }
        _ => {}
    }
}

impl FromItem {
    pub fn walk_exprs<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        match self {
            FromItem::Table { .. } | FromItem::Other => {}
            FromItem::Query { query, .. } => query.walk_exprs(f),
            FromItem::Function { call, .. } => call.walk(f),
            FromItem::Join { left, right, on, .. } => {
                left.walk_exprs(f);
                right.walk_exprs(f);
                on.iter().for_each(|e| e.walk(f));
            }
        }
    }

    fn collect_relations<'a>(&'a self, hidden: &mut Vec<&'a str>, out: &mut Vec<&'a QName>) {
        match self {
            FromItem::Table { name, .. } => push_unless_hidden(name, hidden, out),
            FromItem::Query { query, .. } => query.collect_relations(hidden, out),
            FromItem::Function { call, .. } => collect_expr_relations(call, hidden, out),
            FromItem::Join { left, right, on, .. } => {
                left.collect_relations(hidden, out);
                right.collect_relations(hidden, out);
                on.iter().for_each(|e| collect_expr_relations(e, hidden, out));
            }
            FromItem::Other => {}
        }
    }
}

impl Dml {
    pub fn walk_exprs<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        for c in &self.ctes {
            match &*c.body {
                OpKindQuery::Query(q) => q.walk_exprs(f),
                OpKindQuery::Dml(d) => d.walk_exprs(f),
            }
        }
        self.kind.walk_exprs(f);
        self.from.iter().for_each(|i| i.walk_exprs(f));
        self.filter.iter().for_each(|e| e.walk(f));
        self.returning.iter().for_each(|t| t.expr.walk(f));
    }

    /// Relations read (not the target).
    pub fn reads(&self) -> Vec<&QName> {
        let mut out = Vec::new();
        self.collect_reads(&mut Vec::new(), &mut out);
        out
    }

    fn collect_relations<'a>(&'a self, hidden: &mut Vec<&'a str>, out: &mut Vec<&'a QName>) {
        out.push(&self.table);
        self.collect_reads(hidden, out);
    }

    fn collect_reads<'a>(&'a self, hidden: &mut Vec<&'a str>, out: &mut Vec<&'a QName>) {
        let depth = hidden.len();
        collect_ctes(&self.ctes, hidden, out);
        if let DmlKind::Insert { source: InsertSource::Query(q), .. } = &self.kind {
            q.collect_relations(hidden, out);
        }
        if let DmlKind::Update { set } = &self.kind {
            set.iter().for_each(|a| collect_expr_relations(&a.value, hidden, out));
        }
        self.from.iter().for_each(|i| i.collect_relations(hidden, out));
        self.filter.iter().for_each(|e| collect_expr_relations(e, hidden, out));
        hidden.truncate(depth);
    }
}

impl DmlKind {
    fn walk_exprs<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        match self {
            DmlKind::Insert { source, on_conflict, .. } => {
                if let InsertSource::Query(q) = source {
                    q.walk_exprs(f);
                }
                if let Some(c) = on_conflict {
                    c.set.iter().for_each(|a| a.value.walk(f));
                    c.filter.iter().for_each(|e| e.walk(f));
                    if let ConflictTarget::Columns(cols, pred) = &c.target {
                        cols.iter().chain(pred).for_each(|e| e.walk(f));
                    }
                }
            }
            DmlKind::Update { set } => set.iter().for_each(|a| a.value.walk(f)),
            DmlKind::Delete => {}
            DmlKind::Merge { on, actions, conditions } => {
                on.iter().chain(conditions).for_each(|e| e.walk(f));
                actions.iter().for_each(|a| a.walk_exprs(f));
            }
        }
    }
}
