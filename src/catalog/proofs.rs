//! What validated constraints say of every row.

use crate::op::{Expr, ExprKind};

use super::names::simple_column;
use super::{ConKind, Relation};

/// A validated constraint (other than those in `without`) says that the column holds no NULL.
pub fn proves_not_null(table: &Relation, column: &str, without: &[&str]) -> bool {
    table.constraints.iter().filter(|c| c.validated && c.enforced && !without.contains(&c.name.as_str())).any(|c| match &c.kind {
        ConKind::NotNull { column: c } => c == column,
        ConKind::Check { expr, .. } => says_not_null(expr, column),
        _ => false,
    })
}

fn says_not_null(e: &Expr, column: &str) -> bool {
    match &e.kind {
        ExprKind::IsNull { expr, negated: true } => simple_column(expr) == Some(column),
        ExprKind::Binary { op, left, right } if op == "AND" => says_not_null(left, column) || says_not_null(right, column),
        ExprKind::Unary { op, expr } if op == "NOT" => {
            matches!(&expr.kind, ExprKind::IsNull { expr, negated: false } if simple_column(expr) == Some(column))
        }
        _ => false,
    }
}
