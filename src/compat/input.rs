//! What a type's input function says to a text: accepted, or the SQLSTATE.

use crate::catalog::{Catalog, ColumnType, TypeKind};

use super::types::{self, Category};

/// Reads `text` as a value of `ty`, modifiers included, as an assignment does (a cast would cut a long string instead).
pub fn accept(cat: &Catalog, ty: &ColumnType, text: &str) -> Result<(), &'static str> {
    let ty = types::base(cat, ty);
    if ty.array_dims > 0 {
        let element = ColumnType { array_dims: 0, ..ty };
        return elements(text).ok_or("22P02")?.iter().flatten().try_for_each(|e| accept(cat, &element, e));
    }
    if let Some(t) = ty.id.and_then(|id| cat.types.get(&id)) {
        return match &t.kind {
            TypeKind::Enum { labels } if !labels.iter().any(|l| l.value == text) => Err("22P02"),
            TypeKind::Composite { .. } if !text.trim().starts_with('(') => Err("22P02"),
            TypeKind::Range => range(text, false),
            _ => Ok(()),
        };
    }
    match ty.name.as_str() {
        "smallint" => integer(text, i128::from(i16::MIN), i128::from(i16::MAX)),
        "integer" => integer(text, i128::from(i32::MIN), i128::from(i32::MAX)),
        "bigint" => integer(text, i128::from(i64::MIN), i128::from(i64::MAX)),
        "oid" | "xid" => integer(text, i128::from(i32::MIN), i128::from(u32::MAX)),
        "numeric" => numeric(text, &ty.modifiers),
        "real" | "double precision" => float(text, ty.name == "real"),
        "boolean" => boolean(text),
        "character varying" | "character" | "bpchar" => fits_length(text, &ty),
        "uuid" => uuid(text),
        "json" | "jsonb" => serde_json::from_str::<serde::de::IgnoredAny>(text).map(|_| ()).map_err(|_| "22P02"),
        "date" | "timestamp without time zone" | "timestamp with time zone" | "time without time zone" | "time with time zone" => {
            datetime(text, &ty.name)
        }
        "interval" => interval(text),
        "inet" | "cidr" => network(text, ty.name == "cidr"),
        "bytea" => match text.strip_prefix("\\x") {
            Some(hex) if !hex.chars().all(|c| c.is_ascii_hexdigit() || c.is_whitespace()) => Err("22023"),
            _ => Ok(()),
        },
        "bit" | "bit varying" => bits(text, &ty),
        "macaddr" | "macaddr8" => (text.chars().filter(char::is_ascii_hexdigit).count() >= 12).then_some(()).ok_or("22P02"),
        "money" => text.chars().any(|c| c.is_ascii_digit()).then_some(()).ok_or("22P02"),
        "point" | "line" | "lseg" | "box" | "path" | "polygon" | "circle" | "pg_lsn" | "tid" => {
            text.chars().any(|c| c.is_ascii_digit()).then_some(()).ok_or("22P02")
        }
        n if n.ends_with("range") => range(text, n.ends_with("multirange")),
        _ => Ok(()),
    }
}

/// The first complaint that a value of `old` may meet when it is sent to a column of `new`.
/// Values at the ends of `old`'s range stand for all of it.
pub fn complaint(cat_old: &Catalog, old: &ColumnType, cat_new: &Catalog, new: &ColumnType) -> Option<&'static str> {
    let (o, n) = (types::base(cat_old, old), types::base(cat_new, new));
    if o == n {
        return None;
    }
    if types::category(cat_new, &n) == Category::String && n.array_dims == 0 {
        let room = length_of(&n)?;
        return longest(cat_old, &o).is_none_or(|l| l > room).then_some("22001");
    }
    // A backslash begins an escape there.
    if types::category(cat_old, &o) == Category::String && o.array_dims == 0 && n.name == "bytea" && n.array_dims == 0 {
        return Some("22P02");
    }
    boundary_values(cat_old, &o).iter().find_map(|v| accept(cat_new, &n, v).err())
}

/// Values of a type at the ends of its range, in text form.
pub fn boundary_values(cat: &Catalog, ty: &ColumnType) -> Vec<String> {
    let own = |v: &[&str]| v.iter().map(|s| s.to_string()).collect::<Vec<_>>();
    if ty.array_dims > 0 {
        let element = boundary_values(cat, &ColumnType { array_dims: 0, ..ty.clone() });
        let full = element.first().map(|e| format!("{{\"{}\"}}", e.replace('\\', "\\\\").replace('"', "\\\"")));
        return full.into_iter().chain(own(&["{}"])).collect();
    }
    if let Some(t) = ty.id.and_then(|id| cat.types.get(&id)) {
        return match &t.kind {
            TypeKind::Enum { labels } => labels.iter().map(|l| l.value.clone()).collect(),
            TypeKind::Range => own(&["empty"]),
            _ => Vec::new(),
        };
    }
    match ty.name.as_str() {
        "smallint" => own(&["7", "32767", "-32768"]),
        "integer" => own(&["7", "2147483647", "-2147483648"]),
        "bigint" => own(&["7", "9223372036854775807", "-9223372036854775808"]),
        "numeric" => {
            let num = |i: usize| ty.modifiers.get(i).and_then(|m| m.trim().parse::<i64>().ok());
            match num(0) {
                Some(p) => vec!["9".repeat((p - num(1).unwrap_or(0)).clamp(1, 1000) as usize)],
                None => own(&["7", &"9".repeat(60)]),
            }
        }
        "real" => own(&["7.5", "3e38"]),
        "double precision" => own(&["7.5", "1e308"]),
        "boolean" => own(&["true", "false"]),
        "date" => own(&["2024-01-31"]),
        "timestamp without time zone" => own(&["2024-01-31 12:00:00"]),
        "timestamp with time zone" => own(&["2024-01-31 12:00:00+00"]),
        "time without time zone" => own(&["12:00:00"]),
        "time with time zone" => own(&["12:00:00+00"]),
        "interval" => own(&["1 day"]),
        "uuid" => own(&["6f1c7d0e-2b6a-4a65-9d6b-0d8f5a3c1e42"]),
        "json" | "jsonb" => own(&["{\"a\": 1}"]),
        "inet" => own(&["192.0.2.1/24"]),
        "cidr" => own(&["192.0.2.0/24"]),
        "bytea" => own(&["\\x00ff"]),
        "bit" => vec!["1".repeat(length_of(ty).unwrap_or(1).clamp(1, 64))],
        // None at all is a value too.
        "bit varying" => vec![String::new(), "1".repeat(length_of(ty).unwrap_or(64).clamp(1, 64))],
        "text" | "character varying" | "character" | "bpchar" | "name" | "citext" => own(&["z"]),
        n if n.ends_with("multirange") => own(&["{}"]),
        n if n.ends_with("range") => own(&["empty"]),
        _ => Vec::new(),
    }
}

fn longest(cat: &Catalog, ty: &ColumnType) -> Option<usize> {
    match types::category(cat, ty) {
        Category::String if ty.array_dims == 0 => length_of(ty).or((ty.name == "name").then_some(63)),
        _ => boundary_values(cat, ty).iter().map(|v| v.chars().count()).max(),
    }
}

/// `n` of varchar(n), char(n), bit(n); a bare `character` or `bit` holds one.
pub fn length_of(ty: &ColumnType) -> Option<usize> {
    match ty.modifiers.first() {
        Some(m) => m.trim().parse().ok(),
        None => matches!(ty.name.as_str(), "character" | "bit").then_some(1),
    }
}

fn fits_length(text: &str, ty: &ColumnType) -> Result<(), &'static str> {
    match length_of(ty) {
        // Trailing spaces beyond the length are cut without complaint.
        Some(n) if text.chars().skip(n).any(|c| c != ' ') => Err("22001"),
        _ => Ok(()),
    }
}

fn integer(text: &str, min: i128, max: i128) -> Result<(), &'static str> {
    let t = text.trim();
    let digits = t.strip_prefix(['-', '+']).unwrap_or(t);
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
        return Err("22P02");
    }
    match t.parse::<i128>() {
        Ok(n) if (min..=max).contains(&n) => Ok(()),
        _ => Err("22003"),
    }
}

fn numeric(text: &str, modifiers: &[String]) -> Result<(), &'static str> {
    let t = text.trim();
    let lower = t.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let num = |i: usize| modifiers.get(i).and_then(|m| m.trim().parse::<i64>().ok());
    if lower == "nan" {
        return Ok(());
    }
    if matches!(lower.as_str(), "infinity" | "inf") {
        return num(0).map_or(Ok(()), |_| Err("22003"));
    }
    let value: f64 = if lower.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        lower.parse().map_err(|_| "22P02")?
    } else {
        return Err("22P02");
    };
    let Some(precision) = num(0) else { return Ok(()) };
    let scale = num(1).unwrap_or(0);
    let whole = (precision - scale).clamp(-1000, 1000) as i32;
    // Rounded to the scale first: 9.99 does not fit numeric(2,1).
    let step = 10f64.powi(-(scale.clamp(-300, 300) as i32));
    let rounded = (value / step).round() * step;
    if rounded >= 10f64.powi(whole) { Err("22003") } else { Ok(()) }
}

fn float(text: &str, single: bool) -> Result<(), &'static str> {
    let lower = text.trim().to_ascii_lowercase();
    let value: f64 = lower.parse().map_err(|_| "22P02")?;
    let word = lower.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_alphabetic());
    let too_big = !word && (value.is_infinite() || (single && value.abs() > f64::from(f32::MAX)));
    if too_big { Err("22003") } else { Ok(()) }
}

fn boolean(text: &str) -> Result<(), &'static str> {
    let t = text.trim().to_ascii_lowercase();
    let prefix = |word: &str, least: usize| t.len() >= least && word.starts_with(&t);
    let ok = t == "1"
        || t == "0"
        || prefix("true", 1)
        || prefix("false", 1)
        || prefix("yes", 1)
        || prefix("no", 1)
        || prefix("on", 2)
        || prefix("off", 2);
    if ok && !t.is_empty() { Ok(()) } else { Err("22P02") }
}

fn uuid(text: &str) -> Result<(), &'static str> {
    let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
    let hex = inner.chars().filter(|c| *c != '-').count();
    let clean = inner.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if clean && hex == 32 { Ok(()) } else { Err("22P02") }
}

fn datetime(text: &str, ty: &str) -> Result<(), &'static str> {
    let lower = text.trim().to_ascii_lowercase();
    if matches!(lower.as_str(), "now" | "today" | "tomorrow" | "yesterday" | "epoch" | "infinity" | "-infinity" | "allballs") {
        return Ok(());
    }
    let first = lower.split(|c: char| c.is_whitespace() || c == 't').next().unwrap_or("");
    let parts: Vec<&str> = first.split(['-', '/', '.']).collect();
    if let [a, b, c] = parts.as_slice()
        && let (Ok(y), Ok(m), Ok(d)) = (a.parse::<i64>(), b.parse::<i64>(), c.parse::<i64>())
    {
        // ISO order; other orders depend on DateStyle and are taken as they are.
        let iso = a.len() >= 4;
        if iso && (!(1..=12).contains(&m) || !(1..=31).contains(&d) || y == 0) {
            return Err("22008");
        }
        return Ok(());
    }
    let time = lower.contains(':');
    let month = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"].iter().any(|m| lower.contains(m));
    let digits = lower.chars().any(|c| c.is_ascii_digit());
    let compact = lower.len() >= 6 && lower.chars().all(|c| c.is_ascii_digit());
    if digits && (month || (time && ty.starts_with("time")) || compact) { Ok(()) } else { Err("22007") }
}

fn interval(text: &str) -> Result<(), &'static str> {
    let lower = text.trim().to_ascii_lowercase();
    let ok = lower.chars().any(|c| c.is_ascii_digit()) || matches!(lower.as_str(), "infinity" | "-infinity");
    // A day of the calendar is no length of time.
    let day = lower.split(' ').next().is_some_and(|w| w.len() == 10 && w.bytes().filter(|b| *b == b'-').count() == 2);
    if ok && !day { Ok(()) } else { Err("22007") }
}

fn network(text: &str, cidr: bool) -> Result<(), &'static str> {
    let (host, bits) = text.trim().split_once('/').map_or((text.trim(), None), |(h, b)| (h, Some(b)));
    let full: std::net::IpAddr = host.parse().map_err(|_| "22P02")?;
    let Some(bits) = bits else { return Ok(()) };
    let bits: u32 = bits.parse().map_err(|_| "22P02")?;
    let (value, width) = match full {
        std::net::IpAddr::V4(a) => (u128::from(u32::from(a)), 32),
        std::net::IpAddr::V6(a) => (u128::from(a), 128),
    };
    if bits > width {
        return Err("22P02");
    }
    let host_bits = width - bits;
    let mask = if host_bits >= 128 { u128::MAX } else { (1u128 << host_bits) - 1 };
    if cidr && value & mask != 0 { Err("22P02") } else { Ok(()) }
}

fn bits(text: &str, ty: &ColumnType) -> Result<(), &'static str> {
    let t = text.strip_prefix(['b', 'B']).unwrap_or(text);
    if !t.chars().all(|c| matches!(c, '0' | '1')) && !text.starts_with(['x', 'X']) {
        return Err("22P02");
    }
    match (ty.name.as_str(), length_of(ty)) {
        ("bit", Some(n)) if t.len() != n => Err("22026"),
        ("bit varying", Some(n)) if t.len() > n => Err("22001"),
        _ => Ok(()),
    }
}

/// The elements of an array's text, NULL ones without a value; `None`: it is malformed.
fn elements(text: &str) -> Option<Vec<Option<String>>> {
    let text = text.trim();
    // `[0:2]={…}` says where the counting begins.
    let body = if text.starts_with('[') { text.split_once('=')?.1.trim_start() } else { text };
    let (mut out, mut depth, mut chars) = (Vec::new(), 0_i32, body.chars().peekable());
    if !body.starts_with('{') || !body.ends_with('}') {
        return None;
    }
    let mut ended = false;
    while let Some(c) = chars.next() {
        match c {
            '{' if !ended => depth += 1,
            '}' => {
                depth -= 1;
                ended = true;
            }
            ',' => ended = false,
            c if c.is_whitespace() => {}
            _ if ended || depth < 1 => return None,
            '"' => {
                let mut value = String::new();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => value.push(chars.next()?),
                        c => value.push(c),
                    }
                }
                out.push(Some(value));
                ended = true;
            }
            first => {
                let mut value = String::from(first);
                while let Some(c) = chars.next_if(|c| !matches!(c, ',' | '{' | '}' | '"')) {
                    value.push(if c == '\\' { chars.next()? } else { c });
                }
                let value = value.trim_end();
                out.push((!value.eq_ignore_ascii_case("null")).then(|| value.to_string()));
                ended = true;
            }
        }
    }
    (depth == 0).then_some(out)
}

fn range(text: &str, multi: bool) -> Result<(), &'static str> {
    let t = text.trim();
    let begins = if multi { t.starts_with('{') } else { t.eq_ignore_ascii_case("empty") || t.starts_with(['[', '(']) };
    begins.then_some(()).ok_or("22P02")
}
