//! Where the file's own statements take the values of rows from: an UPDATE of a column, an INSERT … SELECT into a new table.

use crate::catalog::{Catalog, Id, Relation};
use crate::op::{Dml, DmlKind, Expr, ExprKind, FromItem, InsertSource, Name, OpKind, QName, QueryBody};
use crate::replay::ReplayedScript;

use super::change::OpAt;
use super::crossing::row_key;

/// `UPDATE t SET column = value [FROM …] WHERE filter`: the value of one row's column, as an expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Fill {
    pub value: String,
    /// How the expression calls the row.
    pub alias: Option<String>,
    /// Columns of the row that it reads.
    pub reads: Vec<String>,
    /// It looks into another table.
    pub cross: Option<Cross>,
    /// It changes no value that is there.
    pub only_null: bool,
}

/// The rows of another table that a value comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Cross {
    pub source: Id,
    /// Equal columns of the row and of the other table's row.
    pub links: Vec<(String, String)>,
    /// The value is this column of the other row, and nothing but the links says which row.
    pub column: Option<String>,
    /// Columns of the other table that it reads.
    pub reads: Vec<String>,
}

/// `INSERT INTO new (columns) SELECT values FROM source WHERE filter`: a row of the one comes out of a row of the other.
#[derive(Debug, Clone)]
pub struct Move {
    pub at: OpAt,
    pub source: Id,
    pub target: Id,
    /// How the values call the row.
    pub alias: Option<String>,
    pub columns: Vec<String>,
    pub values: Vec<String>,
    pub filter: Option<String>,
    /// Column of the new table, column of the source.
    pub key: Vec<(String, String)>,
    /// Column of the source, column of the new table that says the same.
    pub backs: Vec<(String, String)>,
    /// Columns of the source that it reads.
    pub reads: Vec<String>,
}

/// UPDATEs of the file that give one column of one table a value: out of its own row, or of one that its columns point at.
pub fn fills(script: &ReplayedScript, table: Id, attnum: u16) -> Vec<(OpAt, Fill)> {
    let mut out = Vec::new();
    for (s, r) in script.statements.iter().enumerate() {
        for (o, op) in r.statement.ops.iter().enumerate() {
            let OpKind::Dml(d) = &op.kind else { continue };
            let DmlKind::Update { set } = &d.kind else { continue };
            let Some(rel) = r.before.relation_by(&d.table).filter(|t| t.id == table) else { continue };
            if op.conditional || !d.ctes.is_empty() || !d.returning.is_empty() {
                continue;
            }
            for one in set {
                let [column] = one.columns.as_slice() else { continue };
                if rel.column(column.as_str()).is_none_or(|c| c.attnum != attnum) {
                    continue;
                }
                let update = Update { d, rel, catalog: &r.before, source: script.source.text() };
                let fill = if d.from.is_empty() { update.own(&one.value, column) } else { update.joined(&one.value) };
                out.extend(fill.map(|f| ((s, o), f)));
            }
        }
    }
    out
}

/// One UPDATE on the schema that it finds.
struct Update<'a> {
    d: &'a Dml,
    rel: &'a Relation,
    catalog: &'a Catalog,
    source: &'a str,
}

impl Update<'_> {
    fn alias(&self) -> Option<String> {
        self.d.alias.as_ref().map(|a| a.as_str().to_string())
    }

    /// Without FROM.
    fn own(&self, value: &Expr, column: &Name) -> Option<Fill> {
        let mut text = value.text.clone();
        let mut cross = None;
        let mut names = match reads(value) {
            Some(names) => names,
            None => {
                let c = self.subquery(value)?;
                let own = c.links.iter().map(|(own, _)| own.clone()).collect();
                cross = Some(c);
                own
            }
        };
        if let Some(f) = &self.d.filter {
            let more = reads(f)?;
            // A filter on nothing but the column itself finds the rows that are not filled yet.
            if more.iter().any(|n| n != column.as_str()) {
                text = format!("CASE WHEN {} THEN {text} END", f.text);
                names.extend(more);
            }
        }
        names.sort();
        names.dedup();
        let keeps = match &self.d.filter {
            Some(f) => is_empty(f, column),
            None => {
                matches!(&value.kind, ExprKind::Call(c) if c.name.as_str() == "coalesce" && c.args.first().is_some_and(|a| is_column(a, column)))
            }
        };
        Some(Fill { value: text, alias: self.alias(), reads: names, cross, only_null: keeps })
    }

    /// The value has one subquery, over one table, that the row's columns point into.
    fn subquery(&self, value: &Expr) -> Option<Cross> {
        let mut found = Vec::new();
        value.walk(&mut |e| {
            if let ExprKind::Subquery(q) = &e.kind {
                found.push(&**q);
            }
        });
        let [q] = found.as_slice() else { return None };
        let QueryBody::Select(s) = &q.body else { return None };
        let (FromItem::Table { name, alias, .. }, true) = (s.from.first()?, s.from.len() == 1 && q.ctes.is_empty()) else { return None };
        let mut all = Vec::new();
        q.walk_exprs(&mut |e| all.push(e));
        self.cross(name, alias.as_ref(), s.filter.as_ref(), &all, None)
    }

    /// `FROM other WHERE …`.
    fn joined(&self, value: &Expr) -> Option<Fill> {
        let [FromItem::Table { name, alias, .. }] = self.d.from.as_slice() else { return None };
        let filter = self.d.filter.as_ref()?;
        let mut all = Vec::new();
        value.walk(&mut |e| all.push(e));
        filter.walk(&mut |e| all.push(e));
        if all.iter().any(|e| matches!(e.kind, ExprKind::Subquery(_) | ExprKind::Param(_))) {
            return None;
        }
        let cross = self.cross(name, alias.as_ref(), Some(filter), &all, Some(value))?;
        let from = self.source.get(value.span.end as usize..filter.span.start as usize)?;
        let (from, _) = from.trim().rsplit_once(char::is_whitespace)?;
        let from = from.trim_start().get(4..)?.trim();
        let reads = cross.links.iter().map(|(own, _)| own.clone()).collect();
        Some(Fill {
            value: format!("(SELECT {} FROM {from} WHERE {} LIMIT 1)", value.text, filter.text),
            alias: self.alias(),
            reads,
            cross: Some(cross),
            only_null: false,
        })
    }

    fn cross(&self, name: &QName, alias: Option<&Name>, filter: Option<&Expr>, all: &[&Expr], value: Option<&Expr>) -> Option<Cross> {
        let source = self.catalog.relation_by(name).filter(|s| s.id != self.rel.id && s.kind.is_table())?;
        let theirs = alias.map_or(name.as_str(), Name::as_str);
        let ours = self.d.alias.as_ref().map_or(self.rel.name.as_str(), Name::as_str);
        // `Some(true)`: the other table's.
        let side = |e: &Expr| -> Option<(bool, String)> {
            let ExprKind::Column(parts) = &e.kind else { return None };
            let (column, table) = (parts.last()?, parts.len().checked_sub(2).map(|i| parts[i].as_str()));
            let other = match table {
                Some(t) if t == theirs => true,
                Some(t) if t == ours => false,
                Some(_) => return None,
                None => source.column(column.as_str()).is_some(),
            };
            Some((other, column.as_str().to_string()))
        };
        let mut parts = Vec::new();
        conjuncts(filter?, &mut parts);
        let mut links = Vec::new();
        let mut only_links = true;
        for p in parts {
            let link = match &p.kind {
                ExprKind::Binary { op, left, right } if op == "=" => match (side(left), side(right)) {
                    (Some((false, a)), Some((true, b))) | (Some((true, b)), Some((false, a))) => Some((a, b)),
                    _ => None,
                },
                _ => None,
            };
            match link {
                Some(l) => links.push(l),
                None => only_links = false,
            }
        }
        let mut reads: Vec<String> = all.iter().filter_map(|e| side(e).filter(|(other, _)| *other).map(|(_, c)| c)).collect();
        reads.sort();
        reads.dedup();
        let column = value.and_then(side).filter(|(other, _)| *other && only_links).map(|(_, c)| c);
        (!links.is_empty()).then_some(Cross { source: source.id, links, column, reads })
    }
}

/// Rows that the file copies out of a table of N-1 into one that it makes.
pub fn moves(script: &ReplayedScript) -> Vec<Move> {
    let mut out = Vec::new();
    for (s, r) in script.statements.iter().enumerate() {
        for (o, op) in r.statement.ops.iter().enumerate() {
            let OpKind::Dml(d) = &op.kind else { continue };
            out.extend((!op.conditional).then(|| moved(script, &r.before, d, (s, o))).flatten());
        }
    }
    out
}

fn moved(script: &ReplayedScript, catalog: &Catalog, d: &Dml, at: OpAt) -> Option<Move> {
    let DmlKind::Insert { columns, source: InsertSource::Query(q), on_conflict: None, overriding: false } = &d.kind else { return None };
    let target = catalog.relation_by(&d.table).filter(|t| script.before.relation(t.id).is_none())?;
    let QueryBody::Select(select) = &q.body else { return None };
    let plain =
        q.ctes.is_empty() && d.ctes.is_empty() && q.limit.is_none() && q.offset.is_none() && !select.distinct && d.returning.is_empty();
    let flat = select.group_by.is_empty() && select.having.is_none() && select.distinct_on.is_empty() && select.windows.is_empty();
    let [FromItem::Table { name, alias, only: false, columns: renamed, sample: false }] = select.from.as_slice() else { return None };
    let source = catalog.relation_by(name).filter(|t| script.before.relation(t.id).is_some() && t.kind.is_table())?;
    if !plain || !flat || !renamed.is_empty() {
        return None;
    }
    let columns: Vec<String> = match columns {
        Some(c) => c.iter().map(|n| n.as_str().to_string()).collect(),
        None => target.columns.iter().take(select.targets.len()).map(|c| c.name.clone()).collect(),
    };
    let mut all = Vec::new();
    for e in select.targets.iter().map(|t| &t.expr).chain(&select.filter) {
        all.extend(reads(e)?);
    }
    all.sort();
    all.dedup();
    // An aggregate makes one row of many.
    let mut aggregate = false;
    select.targets.iter().for_each(|t| {
        t.expr.walk(&mut |e| aggregate |= matches!(&e.kind, ExprKind::Call(c) if c.star || c.window || is_aggregate(c.name.as_str())));
    });
    if aggregate || columns.len() != select.targets.len() || all.iter().any(|c| source.column(c).is_none()) {
        return None;
    }
    let bare = |e: &Expr| match &e.kind {
        ExprKind::Column(parts) => parts.last().map(|n| n.as_str().to_string()),
        _ => None,
    };
    // `coalesce(column, …)` gives back what the column held, but for its NULLs.
    let says = |e: &Expr| match &e.kind {
        ExprKind::Call(c) if c.name.as_str() == "coalesce" => c.args.first().and_then(bare),
        ExprKind::Other(v) if v.first().is_some_and(|f| e.text.to_ascii_lowercase().starts_with("coalesce") && bare(f).is_some()) => {
            bare(&v[0])
        }
        _ => bare(e),
    };
    let from: Vec<(String, Option<String>)> = columns.iter().cloned().zip(select.targets.iter().map(|t| bare(&t.expr))).collect();
    let key = row_key(script, source, script.after.relation(target.id)?, &from)?;
    let backs = columns.iter().zip(&select.targets).filter_map(|(c, t)| {
        let s = says(&t.expr)?;
        (source.column(&s)?.ty == target.column(c)?.ty).then(|| (s, c.clone()))
    });
    Some(Move {
        at,
        source: source.id,
        target: target.id,
        alias: alias.as_ref().map(|a| a.as_str().to_string()),
        backs: backs.collect(),
        values: select.targets.iter().map(|t| t.expr.text.clone()).collect(),
        filter: select.filter.as_ref().map(|f| f.text.clone()),
        columns,
        key,
        reads: all,
    })
}

fn is_aggregate(name: &str) -> bool {
    matches!(
        name,
        "count" | "sum" | "min" | "max" | "avg" | "bool_and" | "bool_or" | "every" | "bit_and" | "bit_or" | "stddev" | "variance"
    ) || ["_agg", "_agg_strict", "_agg_unique"].iter().any(|end| name.ends_with(end))
}

fn conjuncts<'a>(e: &'a Expr, out: &mut Vec<&'a Expr>) {
    match &e.kind {
        ExprKind::Binary { op, left, right } if op == "AND" => {
            conjuncts(left, out);
            conjuncts(right, out);
        }
        ExprKind::Other(v) if v.len() == 1 => conjuncts(&v[0], out),
        _ => out.push(e),
    }
}

/// `column IS NULL`, and nothing else.
fn is_empty(filter: &Expr, column: &Name) -> bool {
    match &filter.kind {
        ExprKind::IsNull { expr, negated: false } => is_column(expr, column),
        ExprKind::Other(v) if v.len() == 1 => is_empty(&v[0], column),
        _ => false,
    }
}

fn is_column(e: &Expr, column: &Name) -> bool {
    matches!(&e.kind, ExprKind::Column(parts) if parts.last().is_some_and(|n| n.value == column.value))
}

/// The columns that an expression reads; `None` where it looks into other rows.
pub fn reads(e: &Expr) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut own = true;
    e.walk(&mut |e| match &e.kind {
        ExprKind::Column(parts) => names.extend(parts.last().map(|n| n.value.clone())),
        ExprKind::Subquery(_) | ExprKind::Star(_) | ExprKind::Param(_) => own = false,
        _ => {}
    });
    own.then_some(names)
}
