//! One statement after the other: ours against Postgres's.

use std::collections::BTreeMap;

use airlock::lower::lower;
use airlock::op::{Op, OpKind, OpaqueReason, Statement, Understood};
use airlock::source::{SourceFile, Span};
use airlock::sql::split::split;
use airlock::sql::token::{SqlText, TokenKind, tokenize};
use serde_json::Value;

use crate::code;
use crate::exprs;
use crate::left_out;
use crate::tree::{self, Parsed, differences, normalise};
use crate::units::Unit;
use crate::write;

/// How often what came out for one kind of statement.
#[derive(Default, Clone, Debug)]
pub struct Row {
    pub count: usize,
    pub understood: usize,
    pub partial: usize,
    pub no_effect: usize,
    pub opaque: usize,
    pub misread: usize,
}

#[derive(Default)]
pub struct All {
    pub rows: BTreeMap<String, Row>,
    /// Scripts of which Postgres's parser reads every word; the others are read statement by statement, by reason.
    pub scripts: usize,
    pub piecewise: BTreeMap<&'static str, usize>,
    /// Statements whose beginning or end differ.
    pub boundaries: usize,
    /// Statements that Postgres refuses: by our word for them, how many and how many of them we take as understood.
    pub refused: BTreeMap<String, (usize, usize)>,
    /// Statements with templates, which are read with a word in their place.
    pub templates: usize,
    /// Meant differences: by path, how often.
    pub left_out: BTreeMap<String, usize>,
    /// What went wrong: by kind and words, where.
    pub found: BTreeMap<(String, String), Vec<String>>,
    pub partial_reasons: BTreeMap<String, usize>,
}

/// Statements that neither change the schema nor rows, nor what later statements mean.
pub const NO_EFFECT: &[&str] = &[
    "ExecuteStmt",
    "DeallocateStmt",
    "VariableShowStmt",
    "ExplainStmt",
    "ListenStmt",
    "UnlistenStmt",
    "NotifyStmt",
    "CheckPointStmt",
    "LoadStmt",
    "DeclareCursorStmt",
    "FetchStmt",
    "ClosePortalStmt",
    "PrepareStmt",
    "DiscardStmt",
    "SecLabelStmt",
];

pub fn judge(units: &[Unit]) -> All {
    let mut all = All::default();
    for u in units {
        all.script(u);
    }
    all
}

impl All {
    fn script(&mut self, u: &Unit) {
        let statements = lower(&u.source, &u.parts);
        for part in &u.parts {
            let inside: Vec<&Statement> = statements.iter().filter(|s| s.span.start >= part.start && s.span.end <= part.end).collect();
            self.boundaries_of(&u.source, *part, &inside);
        }
        for s in &statements {
            if s.command == "\\" {
                continue;
            }
            // A template becomes a word, for both.
            match without_templates(&u.source, s.span) {
                Some(text) => {
                    self.templates += 1;
                    let source = SourceFile::new(u.source.path(), text);
                    for s in lower(&source, &[source.full_span()]) {
                        self.statement(&source, &s);
                    }
                }
                None => self.statement(&u.source, s),
            }
        }
    }

    /// Do statements begin and end where Postgres says?
    fn boundaries_of(&mut self, source: &SourceFile, part: Span, ours: &[&Statement]) {
        let text = source.slice(part);
        let parsed = match tree::parse(text) {
            Ok(p) => p,
            Err(_) => {
                *self.piecewise.entry(why_not(source, part)).or_default() += 1;
                return;
            }
        };
        self.scripts += 1;
        // `scan_tokens` makes a slice of a null pointer when there is no token.
        if parsed.is_empty() && ours.is_empty() {
            return;
        }
        let Ok(tokens) = pg_query::scan_tokens(text) else { return };
        let tokens: Vec<(usize, usize)> = tokens
            .iter()
            .filter(|t| {
                !text[t.start as usize..t.end as usize].starts_with("--") && !text[t.start as usize..t.end as usize].starts_with("/*")
            })
            .map(|t| (t.start as usize, t.end as usize))
            .collect();
        let theirs: Vec<(usize, usize)> = parsed
            .iter()
            .filter_map(|p: &Parsed| {
                let inside: Vec<&(usize, usize)> =
                    tokens.iter().filter(|t| t.0 >= p.start && t.1 <= p.end && &text[t.0..t.1] != ";").collect();
                Some((inside.first()?.0, inside.last()?.1))
            })
            .collect();
        let at = part.start as usize;
        let ours: Vec<(usize, usize)> = ours.iter().map(|s| (s.span.start as usize - at, s.span.end as usize - at)).collect();
        if ours == theirs {
            return;
        }
        self.boundaries += 1;
        let first = ours.iter().zip(&theirs).find(|(a, b)| a != b);
        let example = match first {
            Some((a, b)) => format!("ours `{}`, Postgres's `{}`", shorten(&text[a.0..a.1]), shorten(&text[b.0..b.1])),
            None => format!("{} statements, Postgres has {}", ours.len(), theirs.len()),
        };
        self.note("boundaries", "differ", source, part, &example);
    }

    fn statement(&mut self, source: &SourceFile, s: &Statement) {
        let text = source.slice(s.span);
        let parsed = match tree::parse(text) {
            Ok(mut p) if p.len() == 1 => p.remove(0),
            Ok(p) => {
                self.boundaries += 1;
                self.note("boundaries", &format!("one statement is {}", p.len()), source, s.span, "");
                return;
            }
            Err(e) => {
                let entry = self.refused.entry(s.command.to_string()).or_default();
                entry.0 += 1;
                if s.understood != Understood::Opaque {
                    entry.1 += 1;
                    self.note(
                        "refused",
                        &format!("{} is understood, Postgres: {}", s.command, e.split('"').next().unwrap_or(&e)),
                        source,
                        s.span,
                        &e,
                    );
                }
                return;
            }
        };
        let kind = parsed.kind.clone();
        let row = self.rows.entry(kind.clone()).or_default();
        row.count += 1;
        match s.understood {
            Understood::Opaque => {
                row.opaque += 1;
                let why = match s.ops.first().map(|o| &o.kind) {
                    Some(OpKind::Opaque { reason: OpaqueReason::Syntax { message, .. } }) => message.clone(),
                    Some(OpKind::Opaque { reason }) => format!("{reason:?}"),
                    _ => "opaque".into(),
                };
                self.note(&kind, &format!("not read: {why}"), source, s.span, "");
                return;
            }
            Understood::Partial => {
                row.partial += 1;
                for o in &s.ops {
                    if let OpKind::Opaque { reason } = &o.kind {
                        *self
                            .partial_reasons
                            .entry(format!("{kind}: {}", format!("{reason:?}").split('{').next().unwrap_or("").trim()))
                            .or_default() += 1;
                    }
                }
            }
            Understood::NoEffect => row.no_effect += 1,
            Understood::Full => row.understood += 1,
        }
        let mut wrong = self.compare(source, s, parsed);
        if !wrong.is_empty() {
            self.rows.entry(kind.clone()).or_default().misread += 1;
        }
        wrong.dedup();
        for (what, example) in wrong {
            self.note(&kind, &what, source, s.span, &example);
        }
    }

    /// What is misread, with an example each.
    fn compare(&mut self, source: &SourceFile, s: &Statement, parsed: Parsed) -> Vec<(String, String)> {
        let outer: Vec<Op> = s.ops.iter().filter(|o| !o.nested).cloned().collect();
        let Some(written) = write::statement(&outer, source) else {
            let prepared = parsed.tree.pointer("/TransactionStmt/kind").and_then(Value::as_str).is_some_and(|k| k.ends_with("_PREPARED"));
            let named = prepared || NO_EFFECT.contains(&parsed.kind.as_str());
            return if named { Vec::new() } else { vec![(format!("{} has no operation", parsed.kind), String::new())] };
        };
        let mut wrong = match written {
            Ok(sql) => trees(parsed.tree, &sql, Mode::Words),
            Err(e) => Outcome::failed(format!("cannot be written: {e}"), String::new()),
        };
        let writer = write::Writer { source, pieces: true };
        for (words, query) in write::queries(&s.ops) {
            let Some(theirs) = tree::parse(words).ok().and_then(|mut p| p.pop()) else { continue };
            wrong.add(exprs::of_query(words, query));
            wrong.add(match writer.query(query) {
                Ok(sql) => trees(theirs.tree, &sql, Mode::Pieces),
                Err(e) => Outcome::failed(format!("a query cannot be written: {e}"), String::new()),
            });
        }
        s.ops.iter().for_each(|o| wrong.add(exprs::of_definition(&o.kind)));
        wrong.add(code::compare(source, s));
        for p in wrong.left_out {
            *self.left_out.entry(p.to_string()).or_default() += 1;
        }
        wrong.wrong
    }

    fn note(&mut self, kind: &str, what: &str, source: &SourceFile, span: Span, example: &str) {
        let list = self.found.entry((kind.to_string(), what.to_string())).or_default();
        let line = source.position(span.start).line;
        let words = shorten(source.slice(span));
        list.push(format!("{}:{line}: {words}{}{example}", source.path().display(), if example.is_empty() { "" } else { "\n          " }));
    }
}

/// How ours stands to Postgres's.
#[derive(Default)]
pub struct Outcome {
    /// What differs, with an example.
    pub wrong: Vec<(String, String)>,
    /// Differences that are meant.
    pub left_out: Vec<&'static str>,
}

impl Outcome {
    pub fn add(&mut self, other: Outcome) {
        self.wrong.extend(other.wrong);
        self.left_out.extend(other.left_out);
    }

    pub fn failed(what: String, example: String) -> Outcome {
        Outcome { wrong: vec![(what, example)], left_out: Vec::new() }
    }
}

#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    /// Queries stand in our words as they are written in the file.
    Words,
    /// Queries are put together from their parts.
    Pieces,
    /// As `Words`, inside of code, where INTO fills a variable.
    Code,
}

/// Postgres's tree of a statement against the tree of what we write.
pub fn trees(mut theirs: Value, sql: &str, mode: Mode) -> Outcome {
    let mut ours = match tree::parse(sql) {
        Ok(mut p) if p.len() == 1 => p.remove(0).tree,
        Ok(p) => return Outcome::failed(format!("what is written are {} statements", p.len()), sql.to_string()),
        Err(e) => {
            return Outcome::failed(format!("what is written is refused: {}", e.split('"').next().unwrap_or("")), format!("{e}: {sql}"));
        }
    };
    match mode {
        Mode::Words => select_into(&mut theirs),
        Mode::Code => {
            take_into(&mut theirs);
            take_into(&mut ours);
        }
        Mode::Pieces => {
            take_into(&mut theirs);
            take_into(&mut ours);
            tree::pieces(&mut theirs);
            tree::pieces(&mut ours);
        }
    }
    normalise(&mut theirs);
    normalise(&mut ours);
    without_into(&mut ours);
    let mut out = Outcome::default();
    let more: &[(&str, &str)] = if mode == Mode::Pieces { left_out::LEFT_OUT_OF_PIECES } else { &[] };
    for list in [left_out::LEFT_OUT, more] {
        tree::leave_out(&mut theirs, list, &mut out.left_out);
        tree::leave_out(&mut ours, list, &mut Vec::new());
    }
    let kept = if mode == Mode::Pieces { "pieces: " } else { "" };
    out.wrong.extend(
        differences(&theirs, &ours).into_iter().map(|d| (format!("{kept}{}", d.path), format!("Postgres {}, ours {}", d.postgres, d.ours))),
    );
    out
}

/// `SELECT … INTO t` makes a table, as CREATE TABLE AS does.
fn select_into(v: &mut Value) {
    let Some(into) = take_into(v) else { return };
    let query = v.take();
    *v = serde_json::json!({ "CreateTableAsStmt": { "query": query, "into": into, "objtype": "OBJECT_TABLE" } });
}

fn take_into(v: &mut Value) -> Option<Value> {
    let select = v.get_mut("SelectStmt")?;
    take_into_of(select)
}

fn take_into_of(select: &mut Value) -> Option<Value> {
    if let Some(into) = select.as_object_mut()?.remove("intoClause") {
        return Some(into);
    }
    take_into_of(select.get_mut("larg")?)
}

/// Our words of the query of a SELECT INTO still have the INTO.
fn without_into(v: &mut Value) {
    if let Some(q) = v.get_mut("CreateTableAsStmt").and_then(|c| c.get_mut("query")) {
        take_into(q);
    }
}

/// The statement's text with a word for each template, if it has any.
fn without_templates(source: &SourceFile, span: Span) -> Option<String> {
    let text = source.slice(span);
    let tokens = tokenize(SqlText::new(text, 0));
    let mut out = String::new();
    let mut at = 0;
    for t in tokens.iter().filter(|t| t.kind == TokenKind::Template) {
        let words = &text[t.span.range()];
        out.push_str(&text[at..t.span.start as usize]);
        out.push_str(&match words.get(..2) {
            Some(":'") => "'template'".to_string(),
            // A directive, not a value.
            Some("{%") => String::new(),
            _ => format!("template{}", words.bytes().fold(7u32, |h, b| h.wrapping_mul(31).wrapping_add(b.into())) % 1000),
        });
        at = t.span.end as usize;
    }
    (at > 0).then(|| out + &text[at..])
}

/// Why Postgres's parser does not read a whole script.
fn why_not(source: &SourceFile, part: Span) -> &'static str {
    let slices = split(source, &[part]);
    let has = |k: TokenKind| slices.iter().any(|s| s.tokens.iter().any(|t| t.kind == k));
    if slices.iter().any(|s| s.data.is_some()) {
        "COPY data"
    } else if has(TokenKind::Meta) {
        "psql commands"
    } else if has(TokenKind::Template) {
        "templates"
    } else {
        "broken SQL"
    }
}

pub fn shorten(s: &str) -> String {
    let flat: String = s.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() <= 200 { flat } else { flat.chars().take(200).chain("…".chars()).collect() }
}
