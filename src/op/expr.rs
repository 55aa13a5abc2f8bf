//! Expressions: their words, and as much structure as analyses need.

use crate::source::Span;

use super::{Name, QName, Query, TypeName};

/// An expression: its own words, and as much structure as analyses need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expr {
    /// As written.
    pub text: String,
    pub span: Span,
    pub kind: ExprKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExprKind {
    Null,
    Bool(bool),
    Number(String),
    /// The value of a string literal of any spelling ('…', E'…', $$…$$), unescaped.
    String(String),
    /// `$1`, `?`, `:name`, `{x}`: a parameter.
    Param(String),
    /// `a`, `t.a`, `s.t.a`: the parts.
    Column(Vec<Name>),
    /// `*`, `t.*`: the qualifying parts.
    Star(Vec<Name>),
    Call(Box<Call>),
    /// `CAST(e AS t)`, `e::t`, `t 'literal'`.
    Cast {
        expr: Box<Expr>,
        ty: TypeName,
    },
    /// CURRENT_DATE, CURRENT_TIMESTAMP, CURRENT_USER, LOCALTIME, …: upper case.
    SqlValue(String),
    Unary {
        op: String,
        expr: Box<Expr>,
    },
    /// All infix operators, `AND`, `OR`, `LIKE`, `ILIKE`, `IS DISTINCT FROM`, `IS NOT DISTINCT FROM`, `IN`, `NOT IN`, … included; upper case words.
    Binary {
        op: String,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    IsNull {
        expr: Box<Expr>,
        negated: bool,
    },
    Array(Vec<Expr>),
    Row(Vec<Expr>),
    Case(Vec<Expr>),
    Collate {
        expr: Box<Expr>,
        collation: QName,
    },
    /// A scalar, EXISTS, IN, ANY or ARRAY subquery.
    Subquery(Box<Query>),
    /// Anything else: its sub-expressions.
    Other(Vec<Expr>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub name: QName,
    pub args: Vec<Expr>,
    pub star: bool,
    pub window: bool,
}

impl Expr {
    /// NULL as it stands, whatever type it is given.
    pub fn is_null(&self) -> bool {
        match &self.kind {
            ExprKind::Null => true,
            ExprKind::Cast { expr, .. } => expr.is_null(),
            _ => false,
        }
    }

    /// Calls `f` on this expression and everything below it (subqueries' expressions included), parents first.
    pub fn walk<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        f(self);
        match &self.kind {
            ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::Number(_)
            | ExprKind::String(_)
            | ExprKind::Param(_)
            | ExprKind::Column(_)
            | ExprKind::Star(_)
            | ExprKind::SqlValue(_) => {}
            ExprKind::Call(c) => c.args.iter().for_each(|e| e.walk(f)),
            ExprKind::Cast { expr, .. } | ExprKind::Unary { expr, .. } | ExprKind::IsNull { expr, .. } | ExprKind::Collate { expr, .. } => {
                expr.walk(f)
            }
            ExprKind::Binary { left, right, .. } => {
                left.walk(f);
                right.walk(f);
            }
            ExprKind::Array(v) | ExprKind::Row(v) | ExprKind::Case(v) | ExprKind::Other(v) => v.iter().for_each(|e| e.walk(f)),
            ExprKind::Subquery(q) => q.walk_exprs(f),
        }
    }
}
