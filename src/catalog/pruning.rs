//! Which partitions a condition leaves, as far as plain conditions on a key of one column say (`prune_append_rel_partitions`).

use crate::op::{Expr, ExprKind, PartitionBound};

use super::bounds::single;
use super::names::simple_column;
use super::proofs::proves_not_null;
use super::{Catalog, Id, RelKind, Relation};

/// The tables of a tree to which a statement goes.
pub struct Left {
    pub tables: Vec<Id>,
    /// Partitions, with those that have partitions, that the bounds alone leave: they are looked at.
    pub opened: Vec<Id>,
    /// No condition but those that are understood speaks of a key.
    pub sure: bool,
}

/// A condition on one column.
enum Term {
    Null,
    NotNull,
    Compare(&'static str, i128),
    /// What it leaves is not told.
    Opaque,
}

impl Catalog {
    pub fn left_by(&self, table: Id, only: bool, filter: Option<&Expr>) -> Left {
        let mut left = Left { tables: Vec::new(), opened: Vec::new(), sure: true };
        let mut terms = Vec::new();
        filter.into_iter().for_each(|f| conjuncts(f, &mut terms));
        match self.relation(table) {
            Some(r) if r.kind == RelKind::PartitionedTable && (only || terms.iter().any(is_false)) => {}
            Some(r) if r.kind == RelKind::PartitionedTable => self.leave(r, &terms, &mut left),
            _ => {
                let empty = |id: &Id| terms.iter().any(is_false) || self.relation(*id).is_some_and(|r| Self::never_null(r, &terms));
                left.tables = self.with_descendants(table, only);
                left.tables.retain(|id| !empty(id));
                // Where nothing is left, the statement is still one about the table itself.
                if left.tables.is_empty() {
                    left.tables.push(table);
                }
            }
        }
        left
    }

    /// The partitions that are looked at for rows with the value in the column.
    pub fn partitions_with(&self, table: Id, column: &str, value: &Expr) -> Vec<Id> {
        let (left, right) = (Box::new(super::tables::column_expr(column)), Box::new(value.clone()));
        let equal = Expr { kind: ExprKind::Binary { op: "=".into(), left, right }, ..value.clone() };
        self.left_by(table, false, Some(&equal)).opened
    }

    fn leave(&self, parent: &Relation, terms: &[&Expr], left: &mut Left) {
        let keys = parent.partition_by.as_ref().map_or(&[][..], |p| &p.keys);
        let key = match keys {
            [one] => simple_column(one),
            _ => None,
        };
        let columns = self.partition_key_columns(parent);
        let speaks = |e: &&&Expr| columns.iter().any(|c| mentions(e, c));
        let on_key: Vec<Term> = terms.iter().filter(speaks).map(|e| key.map_or(Term::Opaque, |k| term(e, k))).collect();
        left.sure &= !on_key.iter().any(|t| matches!(t, Term::Opaque));
        let children: Vec<&Relation> = self.children_of(parent.id).into_iter().filter_map(|id| self.relation(id)).collect();
        let bounds: Vec<&PartitionBound> = children.iter().filter_map(|c| c.partition_bound.as_ref()).collect();
        for child in children {
            let pruned = child.partition_bound.as_ref().is_some_and(|b| on_key.iter().any(|t| excludes(t, b, &bounds)));
            if pruned {
                continue;
            }
            left.opened.push(child.id);
            if Self::never_null(child, terms) {
                continue;
            }
            match child.kind {
                RelKind::PartitionedTable => self.leave(child, terms, left),
                _ => left.tables.push(child.id),
            }
        }
    }

    /// `IS NULL` of a column that is known to hold none: the planner leaves such members of a tree out.
    fn never_null(member: &Relation, terms: &[&Expr]) -> bool {
        let holds_none = |c: &str| member.column(c).is_some_and(|c| c.not_null) || proves_not_null(member, c, &[]);
        let asks = |e: &&Expr| match &e.kind {
            ExprKind::IsNull { expr, negated: false } => simple_column(expr).is_some_and(holds_none),
            _ => false,
        };
        terms.iter().any(asks)
    }
}

fn is_false(e: &&Expr) -> bool {
    matches!(e.kind, ExprKind::Bool(false) | ExprKind::Null)
}

fn conjuncts<'e>(e: &'e Expr, out: &mut Vec<&'e Expr>) {
    match &e.kind {
        ExprKind::Binary { op, left, right } if op == "AND" => {
            conjuncts(left, out);
            conjuncts(right, out);
        }
        ExprKind::Other(items) if items.len() == 1 => conjuncts(&items[0], out),
        _ => out.push(e),
    }
}

fn mentions(e: &Expr, column: &str) -> bool {
    let mut found = false;
    e.walk(&mut |e| found |= simple_column(e) == Some(column));
    found
}

fn term(e: &Expr, key: &str) -> Term {
    match &e.kind {
        ExprKind::IsNull { expr, negated } if simple_column(expr) == Some(key) => {
            if *negated {
                Term::NotNull
            } else {
                Term::Null
            }
        }
        ExprKind::Binary { op, left, right } if simple_column(left) == Some(key) => {
            let known = ["=", "<>", "<", "<=", ">", ">="].into_iter().find(|k| k == op);
            match (known, single(std::slice::from_ref(&**right))) {
                (Some(op), Some(value)) => Term::Compare(op, value),
                _ => Term::Opaque,
            }
        }
        _ => Term::Opaque,
    }
}

/// The condition leaves no row that the bound takes.
fn excludes(term: &Term, bound: &PartitionBound, all: &[&PartitionBound]) -> bool {
    use PartitionBound::*;
    let is_null = |e: &Expr| matches!(e.kind, ExprKind::Null);
    let one = |e: &Expr| single(std::slice::from_ref(e));
    match (term, bound) {
        (Term::Opaque, _) => false,
        (Term::Null, List(values)) => !values.iter().any(is_null),
        (Term::Null, Range { .. }) => true,
        // A key without a value has the hash 0.
        (Term::Null, Hash { remainder, .. }) => remainder.trim() != "0",
        (Term::Null, Default) => all.iter().any(|b| matches!(b, List(v) if v.iter().any(is_null))),
        (Term::NotNull, List(values)) => values.iter().all(is_null),
        (Term::NotNull, _) => false,
        (Term::Compare(op, n), List(values)) => values.iter().all(|v| is_null(v) || one(v).is_some_and(|v| !holds(v, op, *n))),
        (Term::Compare(op, n), Range { from, to }) => match (single(from), single(to)) {
            (Some(from), Some(to)) => match *op {
                "=" => !(from <= *n && *n < to),
                "<" => from >= *n,
                "<=" => from > *n,
                ">" => to <= n.saturating_add(1),
                ">=" => to <= *n,
                _ => false,
            },
            _ => false,
        },
        (Term::Compare("=", n), Default) => all.iter().any(|b| match b {
            List(values) => values.iter().any(|v| one(v) == Some(*n)),
            Range { from, to } => single(from).zip(single(to)).is_some_and(|(f, t)| f <= *n && *n < t),
            _ => false,
        }),
        (Term::Compare(..), _) => false,
    }
}

fn holds(a: i128, op: &str, b: i128) -> bool {
    match op {
        "=" => a == b,
        "<>" => a != b,
        "<" => a < b,
        "<=" => a <= b,
        ">" => a > b,
        _ => a >= b,
    }
}
