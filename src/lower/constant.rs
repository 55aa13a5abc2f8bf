//! Strings that are known before the code runs: what EXECUTE is given, as far as it is glued together from literals.

use std::collections::BTreeMap;

use crate::op::{Call, Expr, ExprKind};
use crate::quote;

/// More texts than this are not written out; then the string counts as unknown.
const MAX: usize = 64;

/// Variables and arguments whose values are known: each the values that a loop gives it one after the other, else exactly one.
/// `$1` is a name too.
pub type Known = BTreeMap<String, Vec<String>>;

/// Every value that the expression has in turn; `None`: it depends on something that is not known here.
pub fn fold(e: &Expr, known: &Known) -> Option<Vec<String>> {
    match &e.kind {
        ExprKind::String(s) => Some(vec![s.clone()]),
        ExprKind::Number(n) => Some(vec![n.clone()]),
        ExprKind::Bool(b) => Some(vec![b.to_string()]),
        // A type can change the text (`'x'::char(5)`); those that people write around SQL do not.
        ExprKind::Cast { expr, ty }
            if matches!(ty.name.name.value.as_str(), "text" | "varchar" | "regclass") && ty.modifiers.is_empty() =>
        {
            fold(expr, known)
        }
        ExprKind::Binary { op, left, right } if op == "||" => {
            all(&[left.as_ref(), right.as_ref()], known, &|v: &[String]| Some(v.concat()))
        }
        ExprKind::Column(parts) => match parts.as_slice() {
            [name] => known.get(&name.value).cloned(),
            _ => None,
        },
        ExprKind::Param(p) => known.get(p).cloned(),
        ExprKind::Call(c) if !c.star && !c.window => call(c, known),
        _ => None,
    }
}

/// The elements of an array that is known.
pub fn elements(e: &Expr, known: &Known) -> Option<Vec<String>> {
    match &e.kind {
        ExprKind::Array(list) => {
            let each: Option<Vec<Vec<String>>> = list.iter().map(|e| fold(e, known).filter(|v| v.len() == 1)).collect();
            each.map(|e| e.concat()).filter(|v| v.len() <= MAX)
        }
        ExprKind::Cast { expr, .. } => elements(expr, known),
        ExprKind::String(s) => {
            let inner = s.trim().strip_prefix('{')?.strip_suffix('}')?;
            let plain = !inner.contains(['"', '\\', '{']);
            plain.then(|| inner.split(',').map(|w| w.trim().to_string()).filter(|w| !w.is_empty()).collect())
        }
        _ => None,
    }
}

fn call(c: &Call, known: &Known) -> Option<Vec<String>> {
    let args: Vec<&Expr> = c.args.iter().collect();
    match (c.name.as_str(), args.as_slice()) {
        ("format", _) => all(&args, known, &|v: &[String]| v.split_first().and_then(|(f, rest)| format(f, rest))),
        ("concat", _) => all(&args, known, &|v: &[String]| Some(v.concat())),
        ("quote_ident", [_]) => all(&args, known, &|v: &[String]| Some(quote::ident(&v[0]))),
        ("quote_literal", [_]) => all(&args, known, &|v: &[String]| Some(quote::literal(&v[0]))),
        ("lower", [_]) => all(&args, known, &|v: &[String]| v[0].is_ascii().then(|| v[0].to_lowercase())),
        ("upper", [_]) => all(&args, known, &|v: &[String]| v[0].is_ascii().then(|| v[0].to_uppercase())),
        _ => None,
    }
}

/// What a function makes of the values of its arguments.
type Glue<'f> = &'f dyn Fn(&[String]) -> Option<String>;

/// The value for every combination of the arguments' values. A variable that stands in two of them has the same value in both.
fn all(args: &[&Expr], known: &Known, f: Glue<'_>) -> Option<Vec<String>> {
    let many = known.iter().find(|(name, v)| v.len() > 1 && args.iter().any(|a| names(a, name)));
    if let Some((name, values)) = many {
        let mut out = Vec::new();
        for v in values {
            let mut one = known.clone();
            one.insert(name.clone(), vec![v.clone()]);
            let each: Option<Vec<Vec<String>>> = args.iter().map(|a| fold(a, &one)).collect();
            if each.as_ref().is_some_and(|e| e.iter().all(|v| v.len() == 1)) {
                out.push(f(&each?.concat())?);
            } else {
                out.extend(all(args, &one, f)?);
            }
        }
        return (out.len() <= MAX).then_some(out);
    }
    let each: Option<Vec<Vec<String>>> = args.iter().map(|a| fold(a, known).filter(|v| v.len() == 1)).collect();
    Some(vec![f(&each?.concat())?])
}

fn names(e: &Expr, name: &str) -> bool {
    let mut found = false;
    e.walk(&mut |e| found |= matches!(&e.kind, ExprKind::Column(p) if matches!(p.as_slice(), [n] if n.value == name)));
    found
}

/// `format('…%I…%2$L…', …)`, without widths.
fn format(text: &str, args: &[String]) -> Option<String> {
    let mut out = String::new();
    let mut next = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let mut digits = String::new();
        while let Some(d) = chars.next_if(char::is_ascii_digit) {
            digits.push(d);
        }
        if !digits.is_empty() {
            chars.next_if_eq(&'$')?;
            next = digits.parse::<usize>().ok()?.checked_sub(1)?;
        }
        let value = args.get(next)?;
        next += 1;
        match chars.next()? {
            's' => out.push_str(value),
            'I' => out.push_str(&quote::ident(value)),
            'L' => out.push_str(&quote::literal(value)),
            _ => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::cursor::Cursor;
    use crate::sql::token::{SqlText, tokenize};

    #[track_caller]
    fn check(sql: &str, known: &[(&str, &[&str])], expected: Option<&[&str]>) {
        let text = SqlText::new(sql, 0);
        let tokens = tokenize(text);
        let e = crate::lower::expr::expr(&mut Cursor::new(text, &tokens)).expect("an expression");
        let known: Known = known.iter().map(|(n, v)| (n.to_string(), v.iter().map(ToString::to_string).collect())).collect();
        let found = fold(&e, &known);
        assert_eq!(found.as_ref().map(|v| v.iter().map(String::as_str).collect::<Vec<_>>()).as_deref(), expected, "{sql}");
    }

    #[test]
    fn strings_are_glued() {
        check("'DROP TABLE ' || quote_ident('A b') || ';'", &[], Some(&["DROP TABLE \"A b\";"]));
        check(
            "format('ALTER TABLE %I.%I SET (x = %L) -- %% %1$s', 's', 't', 'it''s')",
            &[],
            Some(&["ALTER TABLE \"s\".\"t\" SET (x = 'it''s') -- % s"]),
        );
        check("format('DROP TABLE %I', t)", &[("t", &["a", "b"])], Some(&["DROP TABLE \"a\"", "DROP TABLE \"b\""]));
        check("'a' || t || t", &[("t", &["1", "2"])], Some(&["a11", "a22"]));
        check("$1 || 'x'", &[("$1", &["y"])], Some(&["yx"]));
        check("'x' || u", &[], None);
        check("format('%10s', 'x')", &[], None);
        check("format('%I %I', 'x')", &[], None);
        check("random()::text", &[], None);
    }
}
