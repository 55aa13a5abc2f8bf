//! Seeds, and the ways in which they are broken.

use std::path::Path;

use airlock::rules::RuleSet;
use fastrand::Rng;

/// Longer seeds say nothing new and take the time of many short ones.
const SEED_MAX: usize = 12 * 1024;
const LENGTH_MAX: usize = 64 * 1024;

/// Every rule's examples, the project's own test data, and real migrations where a corpus lies beside the checkout.
pub fn seeds() -> Vec<String> {
    let mut out: Vec<String> = RuleSet::built_in()
        .iter()
        .flat_map(|r| &r.examples)
        .map(|e| format!("{}\n{}", e.setup, e.flagged.as_ref().or(e.clean.as_ref()).map_or("", String::as_str)))
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in [root.join("testdata"), root.join("../shared/corpus")] {
        for file in walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten() {
            if file.path().extension().is_some_and(|e| e == "sql")
                && let Ok(bytes) = std::fs::read(file.path())
                && bytes.len() <= SEED_MAX
            {
                out.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
    out.extend(GRAMMAR.iter().map(|s| s.to_string()));
    out
}

/// Statements that few migrations have.
const GRAMMAR: &[&str] = &[
    "CREATE TABLE p (a int, b text) PARTITION BY LIST (b); CREATE TABLE p1 PARTITION OF p FOR VALUES IN ('x'); ALTER TABLE p DETACH PARTITION p1;",
    "CREATE FUNCTION f(a int, OUT b text) RETURNS SETOF text LANGUAGE sql BEGIN ATOMIC SELECT CASE a WHEN 1 THEN 'x' END; SELECT 'y'; END;",
    "DO $a$ DECLARE x int; BEGIN IF x > 1 THEN EXECUTE 'DROP TABLE ' || quote_ident('t'); ELSE FOR i IN 1..10 LOOP PERFORM f(i); END LOOP; END IF; END $a$;",
    "MERGE INTO orders o USING customers c ON o.customer_id = c.id WHEN MATCHED THEN UPDATE SET note = c.name WHEN NOT MATCHED THEN DO NOTHING;",
    "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 100) SEARCH DEPTH FIRST BY n SET o SELECT sum(n) OVER (PARTITION BY n % 2) FROM t;",
    "COPY orders (id, note) FROM stdin;\n1\tx\n\\.\nSELECT E'\\u00e9', U&'\\0061', B'01', 1_000.5e-3, ARRAY[1,2][1:2], (ROW(1, 2)).a::text COLLATE \"C\";",
    "ALTER TABLE orders ADD CONSTRAINT c EXCLUDE USING gist (id WITH =, daterange(a, b, '[)') WITH &&) WHERE (total > 0) DEFERRABLE INITIALLY DEFERRED;",
    "CREATE RULE r AS ON UPDATE TO v DO INSTEAD (UPDATE orders SET total = NEW.total WHERE id = OLD.id; NOTIFY x);",
    "GRANT SELECT (id), UPDATE ON orders TO a, PUBLIC WITH GRANT OPTION; ALTER DEFAULT PRIVILEGES IN SCHEMA s REVOKE ALL ON TABLES FROM b;",
    "\\set x 1\nSELECT :x, :'x', :\"x\", ${y}, {{ z }};\n\\i other.sql\n-- airlock: allow drop-table -- why\nDROP TABLE orders CASCADE;",
];

const WORDS: &[&str] = &[
    "CREATE",
    "TABLE",
    "ALTER",
    "DROP",
    "COLUMN",
    "CONSTRAINT",
    "SELECT",
    "FROM",
    "WHERE",
    "AS",
    "ON",
    "IN",
    "(",
    ")",
    "[",
    "]",
    ";",
    ",",
    ".",
    ":",
    "::",
    "'",
    "\"",
    "$$",
    "$a$",
    "/*",
    "*/",
    "--",
    "\n",
    "\r",
    "\0",
    "\u{feff}",
    "é",
    "😀",
    "\u{202e}",
    "BEGIN",
    "ATOMIC",
    "END",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "NOT",
    "NULL",
    "DEFAULT",
    "USING",
    "PARTITION",
    "OF",
    "VALUES",
    "FOR",
    "EACH",
    "ROW",
    "EXECUTE",
    "DO",
    "LANGUAGE",
    "plpgsql",
    "IF",
    "EXISTS",
    "CASCADE",
    "RENAME",
    "TO",
    "SET",
    "TYPE",
    "COPY",
    "stdin",
    "\\.",
    "\\",
    "E'",
    "U&'",
    "U&\"",
    "{{",
    "}}",
    "${",
    "}",
    "0x",
    "1e",
    "9999999999999999999",
    "-1",
    "orders",
    "id",
    "total",
    "note",
    "customers",
    "mood",
    "touch",
    "public.",
    "pg_catalog.",
    "WITH",
    "RECURSIVE",
    "RETURNING",
    "CHECK",
    "REFERENCES",
    "UNIQUE",
    "PRIMARY KEY",
    "GENERATED ALWAYS AS",
    "IDENTITY",
    "INHERITS",
    "LIKE",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "LOCK",
    "GRANT",
    "RULE",
    "VIEW",
    "INDEX",
    "CONCURRENTLY",
    "-- airlock: allow ",
    "-- airlock: allow-file all",
];

/// A seed, changed in one to eight ways.
pub fn mutated(rng: &mut Rng, seeds: &[String]) -> String {
    let mut text = rng.choice(seeds).cloned().unwrap_or_default();
    for _ in 0..rng.usize(1..=8) {
        text = once(rng, text, seeds);
        if text.len() > LENGTH_MAX {
            text.truncate(boundary(&text, LENGTH_MAX));
        }
    }
    text
}

fn once(rng: &mut Rng, text: String, seeds: &[String]) -> String {
    match rng.u8(0..9) {
        // Statements of two files.
        0 => {
            let other = rng.choice(seeds).map_or("", String::as_str);
            let (mut a, b): (Vec<&str>, Vec<&str>) = (text.split_inclusive(';').collect(), other.split_inclusive(';').collect());
            let from = rng.usize(..=b.len());
            let to = rng.usize(from..=b.len());
            let at = rng.usize(..=a.len());
            a.splice(at..at, b[from..to].iter().copied());
            a.concat()
        }
        1 => text[..cut(rng, &text)].to_string(),
        2 => text[cut(rng, &text)..].to_string(),
        3 => {
            let at = cut(rng, &text);
            let word = rng.choice(WORDS).copied().unwrap_or("");
            format!("{}{word}{}", &text[..at], &text[at..])
        }
        // Bytes as an editor with another encoding leaves them.
        4 => {
            let mut bytes = text.into_bytes();
            if !bytes.is_empty() {
                let at = rng.usize(..bytes.len());
                bytes[at] = rng.u8(..);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        }
        5 => {
            let (a, b) = (cut(rng, &text), cut(rng, &text));
            let piece = &text[a.min(b)..a.max(b)];
            let at = cut(rng, &text);
            let times = rng.usize(1..4);
            format!("{}{}{}", &text[..at], piece.repeat(times), &text[at..])
        }
        n => tokens(rng, &text, n),
    }
}

/// Deletes, doubles, swaps or replaces whole words.
fn tokens(rng: &mut Rng, text: &str, how: u8) -> String {
    let mut words: Vec<&str> = text.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_').collect();
    if words.is_empty() {
        return String::new();
    }
    let (i, j) = (rng.usize(..words.len()), rng.usize(..words.len()));
    match how {
        6 => {
            words.remove(i);
        }
        7 => words.swap(i, j),
        _ => words[i] = rng.choice(WORDS).copied().unwrap_or(""),
    }
    words.concat()
}

fn cut(rng: &mut Rng, text: &str) -> usize {
    boundary(text, rng.usize(..=text.len()))
}

fn boundary(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}
