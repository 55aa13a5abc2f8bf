//! Expressions of the catalog and of the migration, put into other words.

use crate::lower::lower_text;
use crate::op::{Expr, ExprKind, OpKind, QueryBody};
use crate::quote::ident;

/// The expression of a text.
pub fn parse(text: &str) -> Option<Expr> {
    let sql = format!("SELECT {text}");
    let statements = lower_text(&sql);
    let OpKind::Query(q) = &statements.first()?.ops.first()?.kind else { return None };
    let QueryBody::Select(s) = &q.body else { return None };
    match s.targets.as_slice() {
        [one] => Some(one.expr.clone()),
        _ => None,
    }
}

/// The same with a column under another name: only the words that are that column change.
pub fn renamed(e: &Expr, from: &str, to: &str) -> Option<Expr> {
    let sql = format!("SELECT {}", e.text);
    let mut spans = Vec::new();
    columns(&parse(&e.text)?, &mut |parts| {
        if let Some(n) = parts.last().filter(|n| n.value == from) {
            spans.push(n.span);
        }
    });
    spans.sort_by_key(|s| std::cmp::Reverse(s.start));
    spans.dedup();
    let mut out = sql;
    for s in spans {
        out.replace_range(s.range(), &ident(to));
    }
    parse(out.strip_prefix("SELECT ")?)
}

/// It reads a column of that name.
pub fn names(e: &Expr, column: &str) -> bool {
    let mut found = false;
    columns(e, &mut |parts| found |= parts.last().is_some_and(|n| n.value == column));
    found
}

/// The same with several columns under other names.
pub fn all_renamed(e: &Expr, names: &[(&str, &str)]) -> Option<Expr> {
    names.iter().try_fold(e.clone(), |e, (from, to)| renamed(&e, from, to))
}

/// The same without a table's name before the column.
pub fn unqualified(e: &Expr, column: &str) -> Option<Expr> {
    let mut out = format!("SELECT {}", e.text);
    let mut spans = Vec::new();
    columns(&parse(&e.text)?, &mut |parts| {
        if let (Some(first), Some(last)) = (parts.first(), parts.last().filter(|n| n.value == column)) {
            spans.push(first.span.to(last.span));
        }
    });
    spans.sort_by_key(|s| std::cmp::Reverse(s.start));
    spans.dedup();
    for s in spans {
        out.replace_range(s.range(), &ident(column));
    }
    parse(out.strip_prefix("SELECT ")?)
}

fn columns<'a>(e: &'a Expr, f: &mut dyn FnMut(&'a [crate::op::Name])) {
    e.walk(&mut |x| {
        if let ExprKind::Column(parts) = &x.kind {
            f(parts);
        }
    });
}

/// A column and nothing but casts around it: NULL comes only out of NULL.
pub fn cast_of(e: &Expr) -> Option<&str> {
    match &e.kind {
        ExprKind::Cast { expr, .. } => cast_of(expr),
        ExprKind::Column(parts) => parts.last().map(|n| n.value.as_str()),
        ExprKind::Other(v) if v.len() == 1 => cast_of(&v[0]),
        _ => None,
    }
}

/// Functions that give NULL for a NULL argument only.
const TOTAL: [&str; 13] =
    ["lower", "upper", "trim", "btrim", "length", "now", "clock_timestamp", "gen_random_uuid", "random", "nextval", "abs", "round", "md5"];

/// No row makes it NULL, as far as its words tell. `required`: what is known of a column.
pub fn never_null(e: &Expr, required: &dyn Fn(&str) -> bool) -> bool {
    let known = |e: &Expr| never_null(e, required);
    match &e.kind {
        ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Array(_) | ExprKind::IsNull { .. } => true,
        ExprKind::SqlValue(name) => name != "CURRENT_SCHEMA",
        ExprKind::Column(parts) => parts.last().is_some_and(|n| required(&n.value)),
        ExprKind::Cast { expr, .. } | ExprKind::Collate { expr, .. } | ExprKind::Unary { expr, .. } => known(expr),
        ExprKind::Binary { op, left, right } => {
            matches!(op.as_str(), "+" | "-" | "*" | "/" | "%" | "||" | "=" | "<>" | "<" | ">" | "<=" | ">=" | "AND" | "OR")
                && known(left)
                && known(right)
        }
        ExprKind::Call(c) => match c.name.name.value.as_str() {
            "coalesce" | "greatest" | "least" => c.args.iter().any(known),
            "concat" => true,
            name => TOTAL.contains(&name) && c.args.iter().all(known),
        },
        ExprKind::Other(v) if v.len() == 1 => known(&v[0]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_column_is_renamed() {
        let text = |sql: &str| parse(sql).and_then(|e| renamed(&e, "a", "new a")).map(|e| e.text);
        assert_eq!(text("lower(a) || 'a' || t.a || b.aa"), Some("lower(\"new a\") || 'a' || t.\"new a\" || b.aa".into()));
        assert_eq!(text("(\"a\" IS NOT NULL AND \"A\" > 0)"), Some("(\"new a\" IS NOT NULL AND \"A\" > 0)".into()));
        assert_eq!(text("CASE WHEN a = 1 THEN 'a' ELSE b END"), Some("CASE WHEN \"new a\" = 1 THEN 'a' ELSE b END".into()));
    }

    #[test]
    fn casts_of_one_column() {
        let column = |sql: &str| parse(sql).and_then(|e| cast_of(&e).map(str::to_string));
        assert_eq!(column("features::jsonb"), Some("features".into()));
        assert_eq!(column("(\"a\"::text::int)"), Some("a".into()));
        assert_eq!(column("nullif(a, '')::int"), None);
    }

    #[test]
    fn what_is_never_null() {
        let never = |sql: &str| parse(sql).is_some_and(|e| never_null(&e, &|c| c == "id"));
        for sql in ["0", "'a'::text", "id + 1", "COALESCE(a, 'x')", "lower(id::text) || '-'", "now()", "ARRAY[a]", "(id)", "a IS NULL"] {
            assert!(never(sql), "{sql}");
        }
        for sql in ["NULL", "a", "id + a", "lower(a)", "COALESCE(a, b)", "nullif(id, 0)", "(SELECT 1)", "data ->> 'x'", "NULL::text"] {
            assert!(!never(sql), "{sql}");
        }
    }
}
