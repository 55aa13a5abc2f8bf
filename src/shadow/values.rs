//! Values of a column's type, as SQL expressions: ordinary ones and those at the edges.

use fastrand::Rng;

use crate::quote::literal;

/// What has to be known about a type to make values of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ty {
    /// `format_type` without modifiers of the base type: domains are followed to what they stand on.
    pub base: String,
    /// As it is to be written in a cast, modifiers included.
    pub sql: String,
    /// `atttypmod`, or the domain's.
    pub typmod: i32,
    pub labels: Vec<String>,
    pub element: Option<Box<Ty>>,
    /// Attributes of a composite type.
    pub attributes: Vec<Ty>,
    /// Subtype of a range or multirange, and whether it is a multirange.
    pub range: Option<(Box<Ty>, bool)>,
}

/// Which value is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    Least,
    Greatest,
    /// Zero, empty, false.
    Empty,
    /// Beyond ASCII, not a number, infinite, a moment that a clock change skips.
    Odd,
    /// Something an application would write.
    Ordinary,
    /// Small, positive, and also as text a number: survives nearly every cast.
    Careful,
}

impl Ty {
    /// An SQL expression of this type; `n` makes it different from other rows' values.
    pub fn value(&self, want: Want, n: u64, rng: &mut Rng) -> String {
        if let Some(e) = &self.element {
            return self.array(e, want, n, rng);
        }
        if !self.labels.is_empty() {
            let i = match want {
                Want::Least => 0,
                Want::Greatest => self.labels.len() - 1,
                _ => rng.usize(..self.labels.len()),
            };
            return self.cast(&self.labels[i]);
        }
        if let Some((sub, multi)) = &self.range {
            let text = range(sub, want, n, rng);
            return self.cast(&if *multi { format!("{{{text}}}") } else { text });
        }
        if !self.attributes.is_empty() {
            let parts: Vec<String> = self.attributes.iter().map(|a| a.value(want, n, rng)).collect();
            return format!("ROW({})::{}", parts.join(", "), self.sql);
        }
        let text = self.scalar(want, n, rng);
        self.cast(&text)
    }

    /// Text types of limited length, for those who make their own texts.
    pub fn is_text(&self) -> bool {
        matches!(self.base.as_str(), "text" | "character varying" | "character" | "name") || self.base.ends_with("citext")
    }

    /// A text as applications often demand one, by checks or triggers of their own; `None`: no text type, too short for it, or there are no more.
    pub fn form(&self, which: usize, n: u64) -> Option<String> {
        let text = match which {
            0 => format!("1.{n}.0"),
            1 => format!("user{n}@example.org"),
            2 => format!("https://example.org/{n}"),
            3 => format!("name-{n}"),
            4 => n.to_string(),
            5 => format!("00000000-0000-4000-8000-{n:012}"),
            6 => format!("{{\"n\": {n}}}"),
            7 => "2024-01-31".to_string(),
            _ => return None,
        };
        (self.is_text() && self.length().is_none_or(|l| text.len() <= l)).then(|| self.cast(&text))
    }

    pub fn is_integer(&self) -> bool {
        matches!(self.base.as_str(), "smallint" | "integer" | "bigint")
    }

    /// A literal of this type.
    pub fn cast(&self, text: &str) -> String {
        format!("{}::{}", literal(text), self.sql)
    }

    fn array(&self, e: &Ty, want: Want, n: u64, rng: &mut Rng) -> String {
        let parts: Vec<String> = match want {
            Want::Empty => Vec::new(),
            Want::Odd => vec![e.value(Want::Odd, n, rng), format!("NULL::{}", e.sql)],
            _ => (0..1 + rng.usize(..2)).map(|_| e.value(want, n, rng)).collect(),
        };
        format!("ARRAY[{}]::{}", parts.join(", "), self.sql)
    }

    /// Length of a character or bit type, where it has one.
    pub(super) fn length(&self) -> Option<usize> {
        match self.base.as_str() {
            "character varying" | "character" => usize::try_from(self.typmod - 4).ok().filter(|_| self.typmod >= 4),
            "bit" | "bit varying" => usize::try_from(self.typmod).ok().filter(|l| *l > 0),
            _ => None,
        }
    }

    fn scalar(&self, want: Want, n: u64, rng: &mut Rng) -> String {
        use Want::*;
        let pick = |rng: &mut Rng, of: &[&str]| of[rng.usize(..of.len())].to_string();
        match self.base.as_str() {
            "smallint" => integer(want, n, rng, i16::MIN.into(), i16::MAX.into()),
            "integer" => integer(want, n, rng, i32::MIN.into(), i32::MAX.into()),
            "bigint" => integer(want, n, rng, i64::MIN, i64::MAX),
            "oid" | "xid" | "cid" | "regclass" | "regproc" | "regtype" => (n + 1).to_string(),
            "numeric" => self.numeric(want, n, rng),
            "real" | "double precision" => match want {
                Least => if self.base == "real" { "-3.4e38" } else { "-1.7e308" }.into(),
                Greatest => if self.base == "real" { "3.4e38" } else { "1.7e308" }.into(),
                Empty => "0".into(),
                Odd => pick(rng, &["NaN", "Infinity", "-Infinity"]),
                Ordinary => format!("{}.{}", rng.u32(..1000), rng.u32(..10)),
                Careful => (n + 1).to_string(),
            },
            "money" => match want {
                Least => "-92233720368547758.08".into(),
                Greatest => "92233720368547758.07".into(),
                Empty => "0".into(),
                _ => format!("{}.{:02}", n + 1, rng.u32(..100)),
            },
            "boolean" => match want {
                Least | Empty => "false".into(),
                Greatest => "true".into(),
                _ => rng.bool().to_string(),
            },
            "date" => match want {
                Least => "4713-01-01 BC".into(),
                Greatest => "5874897-12-31".into(),
                Odd => pick(rng, &["infinity", "-infinity", "2024-02-29"]),
                Empty => "1970-01-01".into(),
                _ => format!("2{:03}-{:02}-{:02}", 20 + n % 80, 1 + rng.u32(..12), 1 + rng.u32(..28)),
            },
            "timestamp without time zone" | "timestamp with time zone" => match want {
                Least => "4713-01-02 00:00:00 BC".into(),
                Greatest => "294276-12-30 23:59:59.999999".into(),
                // In much of Europe this half hour does not exist, and the autumn one comes twice.
                Odd => pick(rng, &["infinity", "-infinity", "2024-03-31 02:30:00", "2024-10-27 02:30:00", "2016-12-31 23:59:59.999999"]),
                Empty => "1970-01-01 00:00:00".into(),
                _ => format!(
                    "2{:03}-{:02}-{:02} {:02}:{:02}:{:02}",
                    20 + n % 80,
                    1 + rng.u32(..12),
                    1 + rng.u32(..28),
                    rng.u32(..24),
                    rng.u32(..60),
                    rng.u32(..60)
                ),
            },
            "time without time zone" | "time with time zone" => match want {
                Least | Empty => "00:00:00".into(),
                Greatest => "24:00:00".into(),
                _ => format!("{:02}:{:02}:{:02}", rng.u32(..24), rng.u32(..60), rng.u32(..60)),
            },
            "interval" => match want {
                Least => "-178000000 years".into(),
                Greatest => "178000000 years".into(),
                Empty => "0".into(),
                Odd => "1 mon -1 day +25:00:00.000001".into(),
                _ => format!("{} days {} hours", n % 400, rng.u32(..24)),
            },
            "uuid" => match want {
                Least | Empty => "00000000-0000-0000-0000-000000000000".into(),
                Greatest => "ffffffff-ffff-ffff-ffff-ffffffffffff".into(),
                _ => format!("{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}", rng.u32(..), rng.u16(..), rng.u32(..4096), rng.u32(..4096), n + 1),
            },
            "json" | "jsonb" => match want {
                Least => "null".into(),
                Greatest => format!("{{\"n\": {}}}", i64::MAX),
                Empty => pick(rng, &["{}", "[]"]),
                Odd => "{\"ключ\": [1, null, \"\\u00e9 🦀\"], \"\": {}}".into(),
                _ => format!("{{\"n\": {}, \"name\": \"{}\"}}", n + 1, word(rng)),
            },
            "xml" => format!("<a n=\"{}\">{}</a>", n + 1, word(rng)),
            "bytea" => match want {
                Empty | Least => "\\x".into(),
                Odd => "\\x00ff27225c".into(),
                _ => format!("\\x{:016x}", n + 1),
            },
            "inet" => match want {
                Odd => "::ffff:1.2.3.4/96".into(),
                Greatest => "255.255.255.255".into(),
                Least | Empty => "0.0.0.0".into(),
                _ => format!("10.{}.{}.{}", n / 65536 % 256, n / 256 % 256, n % 256),
            },
            "cidr" => format!("10.{}.{}.{}/32", n / 65536 % 256, n / 256 % 256, n % 256),
            "macaddr" => format!("08:00:2b:{:02x}:{:02x}:{:02x}", n / 65536 % 256, n / 256 % 256, n % 256),
            "macaddr8" => format!("08:00:2b:01:02:{:02x}:{:02x}:{:02x}", n / 65536 % 256, n / 256 % 256, n % 256),
            "bit" => bits(n, self.length().unwrap_or(1)),
            "bit varying" => match want {
                Empty | Least => String::new(),
                _ => bits(n, self.length().unwrap_or(8)),
            },
            "point" => format!("({n},{})", rng.u32(..100)),
            "line" => format!("{{1,{},{}}}", rng.u32(1..100), n),
            "lseg" | "path" | "polygon" => format!("(({n},0),({},1))", n + 1),
            "box" => format!("({},1),({n},0)", n + 1),
            "circle" => format!("<({n},0),{}>", 1 + rng.u32(..10)),
            "tsvector" => format!("'{}':1 'n{n}':2", word(rng)),
            "tsquery" => format!("'{}' & 'n{n}'", word(rng)),
            "pg_lsn" => format!("0/{:X}", n + 1),
            "txid_snapshot" | "pg_snapshot" => "10:20:10,14,15".into(),
            "\"char\"" => char::from(b'a' + (n % 26) as u8).to_string(),
            b if self.is_text() => self.words(want, n, rng, b),
            b => {
                // Types of well-known extensions, wherever they are installed.
                match b.rsplit('.').next().unwrap_or(b).trim_matches('"') {
                    "hstore" => format!("\"n\"=>\"{n}\""),
                    "ltree" => format!("top.n{n}"),
                    "geometry" | "geography" => format!("POINT({} {})", n % 180, n % 90),
                    "vector" | "halfvec" => {
                        let dim = usize::try_from(self.typmod).ok().filter(|d| *d > 0).unwrap_or(3);
                        format!("[{}]", vec!["1"; dim].join(","))
                    }
                    "cube" => format!("({n})"),
                    "semver" => format!("1.0.{n}"),
                    "ean13" | "isbn" | "issn" => "978-0-393-04002-9".into(),
                    _ => (n + 1).to_string(),
                }
            }
        }
    }

    fn words(&self, want: Want, n: u64, rng: &mut Rng, base: &str) -> String {
        let limit = self.length().unwrap_or(if base == "name" { 63 } else { usize::MAX });
        let text = match want {
            Want::Least | Want::Empty => String::new(),
            Want::Greatest => "z".repeat(limit.min(300)),
            Want::Odd => "Ünï 𝕜ode '\"\\ % 汉字\u{301}\n".into(),
            Want::Ordinary => format!("{} {n}", word(rng)),
            Want::Careful => (n + 1).to_string(),
        };
        // Where a short text has to be different in every row, its number matters more than its word.
        if text.chars().count() > limit && want == Want::Ordinary {
            let number = n.to_string();
            return number.chars().rev().take(limit).collect::<Vec<_>>().into_iter().rev().collect();
        }
        text.chars().take(limit).collect()
    }

    /// Precision and scale of a numeric, both zero where it has none; since 15 the scale may be negative or exceed the precision.
    fn precision(&self) -> (i32, i32) {
        match self.typmod {
            t if t >= 4 => (((t - 4) >> 16) & 0xffff, (((t - 4) & 0x7ff) ^ 1024) - 1024),
            _ => (0, 0),
        }
    }

    /// Digits of a numeric before its point, where they are bounded.
    pub(super) fn whole_digits(&self) -> Option<usize> {
        let (precision, scale) = self.precision();
        (precision > 0).then(|| (precision - scale).max(0) as usize)
    }

    fn numeric(&self, want: Want, n: u64, rng: &mut Rng) -> String {
        let (precision, scale) = self.precision();
        if precision == 0 {
            return match want {
                Want::Least => "-99999999999999999999999999999999.99999999".into(),
                Want::Greatest => "99999999999999999999999999999999.99999999".into(),
                Want::Empty => "0".into(),
                Want::Odd => ["NaN", "0.00000000000000000001", "1.10"][rng.usize(..3)].into(),
                Want::Ordinary => format!("{}.{}", n + 1, rng.u32(..100)),
                Want::Careful => (n + 1).to_string(),
            };
        }
        let whole = (precision - scale).max(0) as usize;
        let fraction = scale.max(0) as usize;
        let nines = |w: usize, f: usize| {
            let w = if w == 0 { "0".into() } else { "9".repeat(w) };
            if f == 0 { w } else { format!("{w}.{}", "9".repeat(f.min(precision as usize))) }
        };
        // A scale beyond the precision demands leading zeros in the fraction.
        let extreme = if scale > precision || scale < 0 { "0".to_string() } else { nines(whole, fraction) };
        match want {
            Want::Least => format!("-{extreme}"),
            Want::Greatest => extreme,
            Want::Empty => "0".into(),
            Want::Odd => "NaN".into(),
            Want::Ordinary | Want::Careful => {
                let limit = 10u64.saturating_pow(whole.min(15) as u32);
                let number = (n + 1) % limit.max(1);
                if fraction > 0 && want == Want::Ordinary { format!("{number}.{}", rng.u32(..10)) } else { number.to_string() }
            }
        }
    }
}

fn integer(want: Want, n: u64, rng: &mut Rng, min: i64, max: i64) -> String {
    match want {
        Want::Least => min,
        Want::Greatest => max,
        Want::Empty => 0,
        Want::Odd => [-1, 1, max - 1][rng.usize(..3)],
        Want::Ordinary | Want::Careful => (n as i64 + 1).min(max),
    }
    .to_string()
}

fn bits(n: u64, len: usize) -> String {
    (0..len).map(|i| if i < 64 && n >> i & 1 == 1 { '1' } else { '0' }).rev().collect()
}

fn word(rng: &mut Rng) -> &'static str {
    const WORDS: [&str; 10] = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "ivory", "juniper"];
    WORDS[rng.usize(..WORDS.len())]
}

fn range(sub: &Ty, want: Want, n: u64, rng: &mut Rng) -> String {
    // Ranges that do not overlap between rows, so that an exclusion constraint can be met.
    match want {
        Want::Empty => return "empty".into(),
        Want::Odd => return "(,)".into(),
        _ => {}
    }
    let (a, b) = match sub.base.as_str() {
        "integer" | "bigint" | "numeric" => ((n * 10).to_string(), (n * 10 + 5).to_string()),
        "date" | "timestamp without time zone" | "timestamp with time zone" => {
            (format!("{}-01-01", 2000 + n % 7000), format!("{}-06-01", 2000 + n % 7000))
        }
        _ => {
            let v = sub.scalar(Want::Careful, n, rng);
            (v.clone(), v)
        }
    };
    format!("[\"{a}\",\"{b}\"]")
}
