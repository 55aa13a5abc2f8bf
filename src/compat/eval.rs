//! Evaluates expressions on values that may be unknown: CHECK, policies, filters, defaults.

use crate::catalog::{Cell, ColumnType};
use crate::op::{Expr, ExprKind, Name};

/// A value, as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    Null,
    Value(String),
    /// Not null and equal to no other value: the next number of a sequence, a new uuid.
    Fresh,
    Unknown {
        nullable: bool,
        /// The type whose values it may take, where it stands for a value that an application sends.
        sent_as: Option<ColumnType>,
    },
}

impl Datum {
    pub const ANY: Datum = Datum::Unknown { nullable: true, sent_as: None };
    pub const SOME: Datum = Datum::Unknown { nullable: false, sent_as: None };

    pub fn is_unknown(&self) -> bool {
        matches!(self, Datum::Unknown { .. })
    }
    pub fn bool(b: bool) -> Self {
        Datum::Value(b.to_string())
    }
    /// As a condition: `None` is unknown; NULL is `Some(None)`.
    pub fn truth(&self) -> Option<Option<bool>> {
        match self {
            Datum::Null => Some(None),
            Datum::Value(v) => match v.to_ascii_lowercase().as_str() {
                "true" | "t" => Some(Some(true)),
                "false" | "f" => Some(Some(false)),
                _ => None,
            },
            _ => None,
        }
    }
}

impl From<&Cell> for Datum {
    fn from(c: &Cell) -> Self {
        match c {
            Cell::Null => Datum::Null,
            Cell::Value(v) => Datum::Value(v.clone()),
            Cell::Unknown => Datum::ANY,
        }
    }
}

/// Looks a column or a parameter up.
pub trait Env {
    fn column(&self, parts: &[Name]) -> Datum;
    fn param(&self, name: &str) -> Datum;
}

/// Nothing to look up: defaults.
pub struct Constants;

impl Env for Constants {
    fn column(&self, _: &[Name]) -> Datum {
        Datum::ANY
    }
    fn param(&self, name: &str) -> Datum {
        placeholder(name).unwrap_or(Datum::SOME)
    }
}

/// `{k}` is a number that no row has yet.
pub fn placeholder(name: &str) -> Option<Datum> {
    let inner = name.strip_prefix('{')?;
    let letter = inner.bytes().next().map_or(0, u32::from);
    Some(Datum::Value((1000 + letter).to_string()))
}

pub fn eval(e: &Expr, env: &dyn Env) -> Datum {
    match &e.kind {
        ExprKind::Null => Datum::Null,
        ExprKind::Bool(b) => Datum::bool(*b),
        ExprKind::Number(n) => Datum::Value(n.clone()),
        ExprKind::String(s) => Datum::Value(s.clone()),
        ExprKind::Param(p) => env.param(p),
        ExprKind::Column(parts) => env.column(parts),
        ExprKind::Cast { expr, ty } => match eval(expr, env) {
            // A cast may round or cut; whole numbers and texts stay what they are.
            Datum::Value(v) if ty.name.as_str() == "integer" && v.contains('.') => Datum::SOME,
            Datum::Unknown { nullable, .. } => Datum::Unknown { nullable, sent_as: None },
            d => d,
        },
        ExprKind::SqlValue(_) => Datum::SOME,
        ExprKind::Unary { op, expr } => unary(op, eval(expr, env)),
        ExprKind::Binary { op, left, right } => binary(op, left, right, env),
        ExprKind::IsNull { expr, negated } => match eval(expr, env) {
            Datum::Null => Datum::bool(!negated),
            Datum::Unknown { nullable: true, .. } => Datum::SOME,
            _ => Datum::bool(*negated),
        },
        ExprKind::Collate { expr, .. } => eval(expr, env),
        ExprKind::Call(c) => {
            let args: Vec<Datum> = c.args.iter().map(|a| eval(a, env)).collect();
            call(c.name.as_str(), &args)
        }
        _ => Datum::ANY,
    }
}

fn unary(op: &str, d: Datum) -> Datum {
    if let Some(test) = op.to_ascii_uppercase().strip_prefix("IS ") {
        let (negated, wanted) = test.strip_prefix("NOT ").map_or((false, test), |w| (true, w));
        return match (d.truth(), wanted) {
            (Some(t), "TRUE") => Datum::bool((t == Some(true)) != negated),
            (Some(t), "FALSE") => Datum::bool((t == Some(false)) != negated),
            (Some(t), "UNKNOWN") => Datum::bool(t.is_none() != negated),
            _ => Datum::SOME,
        };
    }
    match (op.to_ascii_uppercase().as_str(), &d) {
        (_, Datum::Null) => Datum::Null,
        ("NOT", _) => match d.truth() {
            Some(Some(b)) => Datum::bool(!b),
            _ => d,
        },
        ("-", Datum::Value(v)) => Datum::Value(v.strip_prefix('-').map_or_else(|| format!("-{v}"), str::to_string)),
        ("+", _) => d,
        _ => Datum::ANY,
    }
}

fn binary(op: &str, left: &Expr, right: &Expr, env: &dyn Env) -> Datum {
    let op = op.to_ascii_uppercase();
    let l = eval(left, env);
    match op.as_str() {
        "AND" | "OR" => {
            let r = eval(right, env);
            let decisive = op == "OR";
            let (a, b) = (l.truth(), r.truth());
            if a == Some(Some(decisive)) || b == Some(Some(decisive)) {
                return Datum::bool(decisive);
            }
            return match (a, b) {
                (Some(Some(_)), Some(Some(_))) => Datum::bool(!decisive),
                (Some(_), Some(_)) => Datum::Null,
                _ => Datum::ANY,
            };
        }
        "IN" | "NOT IN" => {
            let (ExprKind::Row(items) | ExprKind::Other(items)) = &right.kind else { return Datum::ANY };
            let mut unsure = false;
            let mut null = l == Datum::Null;
            for i in items {
                match equal(&l, &eval(i, env)) {
                    Some(Some(true)) => return Datum::bool(op == "IN"),
                    Some(Some(false)) => {}
                    Some(None) => null = true,
                    None => unsure = true,
                }
            }
            return if unsure {
                Datum::ANY
            } else if null {
                Datum::Null
            } else {
                Datum::bool(op != "IN")
            };
        }
        "BETWEEN" | "NOT BETWEEN" => {
            let ExprKind::Row(bounds) = &right.kind else { return Datum::ANY };
            let [low, high] = bounds.as_slice() else { return Datum::ANY };
            return match (&l, eval(low, env), eval(high, env)) {
                (Datum::Null, _, _) | (_, Datum::Null, _) | (_, _, Datum::Null) => Datum::Null,
                (Datum::Value(v), Datum::Value(a), Datum::Value(b)) => {
                    Datum::bool((order(v, &a).is_ge() && order(v, &b).is_le()) == (op == "BETWEEN"))
                }
                _ => Datum::ANY,
            };
        }
        _ => {}
    }
    let r = eval(right, env);
    match op.as_str() {
        "IS DISTINCT FROM" | "IS NOT DISTINCT FROM" => {
            let same = match (&l, &r) {
                (Datum::Null, Datum::Null) => Some(true),
                (Datum::Null, o) | (o, Datum::Null) => (!matches!(o, Datum::Unknown { nullable: true, .. })).then_some(false),
                _ => equal(&l, &r).flatten(),
            };
            same.map_or(Datum::SOME, |s| Datum::bool(s == (op == "IS NOT DISTINCT FROM")))
        }
        "=" | "<>" | "!=" => match equal(&l, &r) {
            Some(Some(b)) => Datum::bool(b == (op == "=")),
            Some(None) => Datum::Null,
            None => Datum::ANY,
        },
        "<" | ">" | "<=" | ">=" => match (&l, &r) {
            (Datum::Null, _) | (_, Datum::Null) => Datum::Null,
            (Datum::Value(a), Datum::Value(b)) => {
                let ord = order(a, b);
                Datum::bool(match op.as_str() {
                    "<" => ord.is_lt(),
                    ">" => ord.is_gt(),
                    "<=" => ord.is_le(),
                    _ => ord.is_ge(),
                })
            }
            _ => Datum::ANY,
        },
        "+" | "-" | "*" => match (&l, &r) {
            (Datum::Null, _) | (_, Datum::Null) => Datum::Null,
            (Datum::Value(a), Datum::Value(b)) => match (a.parse::<i64>(), b.parse::<i64>()) {
                (Ok(a), Ok(b)) => {
                    let n = match op.as_str() {
                        "+" => a.checked_add(b),
                        "-" => a.checked_sub(b),
                        _ => a.checked_mul(b),
                    };
                    n.map_or(Datum::SOME, |n| Datum::Value(n.to_string()))
                }
                _ => Datum::SOME,
            },
            _ => Datum::ANY,
        },
        "||" => match (&l, &r) {
            (Datum::Null, _) | (_, Datum::Null) => Datum::Null,
            (Datum::Value(a), Datum::Value(b)) => Datum::Value(format!("{a}{b}")),
            _ => Datum::ANY,
        },
        "LIKE" | "NOT LIKE" => match (&l, &r) {
            (Datum::Null, _) | (_, Datum::Null) => Datum::Null,
            (Datum::Value(a), Datum::Value(p)) if !p.contains('\\') && a.len() < 256 && p.len() < 64 => {
                let (a, p): (Vec<char>, Vec<char>) = (a.chars().collect(), p.chars().collect());
                Datum::bool(like(&a, &p) == (op == "LIKE"))
            }
            _ => Datum::ANY,
        },
        _ => Datum::ANY,
    }
}

fn like(text: &[char], pattern: &[char]) -> bool {
    // One row of the usual table: `reach[i]` says whether the pattern so far matches the first i characters.
    let mut reach = vec![false; text.len() + 1];
    reach[0] = true;
    for p in pattern {
        let mut next = vec![false; text.len() + 1];
        for i in 0..=text.len() {
            next[i] = match p {
                '%' => reach[i] || (i > 0 && next[i - 1]),
                '_' => i > 0 && reach[i - 1],
                c => i > 0 && reach[i - 1] && text[i - 1] == *c,
            };
        }
        reach = next;
    }
    reach[text.len()]
}

/// `None`: cannot be told; `Some(None)`: NULL.
pub fn equal(a: &Datum, b: &Datum) -> Option<Option<bool>> {
    match (a, b) {
        (Datum::Null, _) | (_, Datum::Null) => Some(None),
        (Datum::Fresh, Datum::Value(_) | Datum::Fresh) | (Datum::Value(_), Datum::Fresh) => Some(Some(false)),
        (Datum::Value(x), Datum::Value(y)) => Some(Some(order(x, y).is_eq())),
        _ => None,
    }
}

fn order(a: &str, b: &str) -> std::cmp::Ordering {
    match (a.trim().parse::<f64>(), b.trim().parse::<f64>()) {
        (Ok(x), Ok(y)) => x.partial_cmp(&y).unwrap_or(std::cmp::Ordering::Equal),
        _ => a.cmp(b),
    }
}

fn call(name: &str, args: &[Datum]) -> Datum {
    match (name.to_ascii_lowercase().as_str(), args) {
        ("coalesce", _) => {
            for a in args {
                match a {
                    Datum::Null => {}
                    Datum::Unknown { nullable: true, .. } => return Datum::ANY,
                    known => return known.clone(),
                }
            }
            Datum::Null
        }
        ("nextval" | "gen_random_uuid" | "uuid_generate_v4" | "uuidv7" | "uuidv4", _) => Datum::Fresh,
        ("now" | "clock_timestamp" | "statement_timestamp" | "transaction_timestamp" | "random" | "timezone", _) => Datum::SOME,
        ("lower" | "upper" | "length" | "char_length" | "btrim" | "trim" | "octet_length" | "abs", [Datum::Null, ..]) => Datum::Null,
        ("lower", [Datum::Value(v)]) => Datum::Value(v.to_lowercase()),
        ("upper", [Datum::Value(v)]) => Datum::Value(v.to_uppercase()),
        ("length" | "char_length", [Datum::Value(v)]) => Datum::Value(v.chars().count().to_string()),
        ("octet_length", [Datum::Value(v)]) => Datum::Value(v.len().to_string()),
        ("btrim" | "trim", [Datum::Value(v)]) => Datum::Value(v.trim_matches(' ').to_string()),
        ("abs", [Datum::Value(v)]) => Datum::Value(v.trim_start_matches('-').to_string()),
        _ => Datum::ANY,
    }
}
