//! PL/pgSQL, read statement by statement: words that control the flow are taken off, and what remains is SQL or it is skipped.

use std::collections::BTreeSet;

use crate::op::{Op, OpKind, OpaqueReason};
use crate::source::Span;
use crate::sql::cursor::Cursor;
use crate::sql::token::{SqlText, Token, TokenKind, tokenize};

use super::code::{Body, sql};
use super::constant::{Known, elements, fold};
use super::expr::expr;
use super::query;

/// What stands before the SQL of a statement.
enum Lead<'t> {
    Declare,
    Begin,
    Exception,
    /// END of a block.
    End,
    /// END IF, END LOOP, END CASE.
    EndFlow,
    /// IF, CASE.
    Open,
    /// ELSE, ELSIF, WHEN.
    Branch,
    /// FOR, FOREACH, WHILE, LOOP: the words between them and LOOP.
    Loop(&'t [Token]),
}

/// A block or a branch that is open.
struct Frame {
    /// What stands in it may or may not run.
    conditional: bool,
    /// The variable of a loop over known values.
    variable: Option<String>,
}

pub struct Block<'a, 'o> {
    text: SqlText<'a>,
    out: &'o mut Body,
    frames: Vec<Frame>,
    /// For each BEGIN, in order: its block catches errors. A block that does undoes its statements on one, so they are as uncertain
    /// as those in an IF.
    catches: Vec<bool>,
    begun: usize,
    known: Known,
    /// Variables that are set where nobody knows whether and how often.
    unsure: BTreeSet<String>,
    command: u32,
    /// Between DECLARE and BEGIN.
    declares: bool,
    /// The block runs where it stands: calls in assignments are followed.
    runs: bool,
}

impl<'a, 'o> Block<'a, 'o> {
    /// `known`: arguments whose values are known.
    pub fn new(text: SqlText<'a>, out: &'o mut Body, known: Known, runs: bool) -> Self {
        Block {
            text,
            out,
            frames: Vec::new(),
            catches: Vec::new(),
            begun: 0,
            known,
            unsure: BTreeSet::new(),
            command: 0,
            declares: false,
            runs,
        }
    }

    pub fn read(&mut self, tokens: &[Token]) {
        self.survey(tokens);
        self.out.handles_exceptions = self.catches.contains(&true);
        let unsure = std::mem::take(&mut self.unsure);
        self.known.retain(|n, _| !unsure.contains(n));
        self.unsure = unsure;
        for part in tokens.split(|t| t.kind == TokenKind::Punct(b';')) {
            self.statement(part);
        }
    }

    /// Looks ahead: which blocks catch errors, and which variables are set inside of a flow.
    fn survey(&mut self, tokens: &[Token]) {
        let mut open: Vec<Option<usize>> = Vec::new();
        let mut declares = false;
        for part in tokens.split(|t| t.kind == TokenKind::Punct(b';')) {
            let (leads, rest) = self.leads(part, &mut declares);
            for lead in &leads {
                match lead {
                    Lead::Begin => {
                        open.push(Some(self.catches.len()));
                        self.catches.push(false);
                    }
                    Lead::Open | Lead::Loop(_) => open.push(None),
                    Lead::End | Lead::EndFlow => {
                        open.pop();
                    }
                    Lead::Exception => {
                        if let Some(i) = open.iter().rev().find_map(|o| *o) {
                            self.catches[i] = true;
                        }
                    }
                    Lead::Declare | Lead::Branch => {}
                }
            }
            let c = Cursor::new(self.text, rest);
            if !declares
                && let Some(name) = self.assigned(&c)
                && (open.iter().any(Option::is_none) || open.iter().flatten().any(|i| self.catches[*i]))
            {
                self.unsure.insert(name);
            }
            for (i, t) in part.iter().enumerate() {
                if t.kind == TokenKind::Word && self.text.slice(t.span).eq_ignore_ascii_case("into") {
                    let mut c = Cursor::new(self.text, &part[i + 1..]);
                    c.eat("STRICT");
                    while let Ok(n) = c.name() {
                        self.unsure.insert(n.value);
                        if !c.comma() {
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Takes off what controls the flow: `BEGIN`, `IF x THEN`, `FOR … LOOP`, `WHEN OTHERS THEN`, labels.
    fn leads<'t>(&self, mut tokens: &'t [Token], declares: &mut bool) -> (Vec<Lead<'t>>, &'t [Token]) {
        let mut out = Vec::new();
        loop {
            let c = Cursor::new(self.text, tokens);
            let behind = |word: &str| {
                let mut look = c.clone();
                look.skip_until(|c| c.is(word));
                look.is(word).then_some(look.pos() + 1)
            };
            let (lead, skip) = if c.at_end() {
                return (out, tokens);
            } else if c.is_op("<<") {
                let mut look = c.clone();
                look.skip_until(|c| c.is_op(">>"));
                tokens = &tokens[(look.pos() + 1).min(tokens.len())..];
                continue;
            } else if c.is_op("#") {
                // `#variable_conflict use_column`, an option of the compiler.
                tokens = &tokens[3.min(tokens.len())..];
                continue;
            } else if c.is("DECLARE") {
                *declares = true;
                (Lead::Declare, 1)
            } else if c.is("BEGIN") {
                *declares = false;
                (Lead::Begin, 1)
            } else if *declares {
                return (out, tokens);
            } else if c.is_seq("END IF") || c.is_seq("END LOOP") || c.is_seq("END CASE") {
                out.push(Lead::EndFlow);
                return (out, &[]);
            } else if c.is("END") {
                out.push(Lead::End);
                return (out, &[]);
            } else if c.is_seq("EXCEPTION WHEN") {
                (Lead::Exception, 1)
            } else if c.is("IF") || c.is("CASE") {
                let Some(n) = behind("THEN") else { return (out, &[]) };
                (Lead::Open, n)
            } else if c.is("ELSIF") || c.is("ELSEIF") || c.is("WHEN") {
                let Some(n) = behind("THEN") else { return (out, &[]) };
                (Lead::Branch, n)
            } else if c.is("ELSE") {
                (Lead::Branch, 1)
            } else if c.is("LOOP") {
                (Lead::Loop(&[]), 1)
            } else if c.is("FOR") || c.is("FOREACH") || c.is("WHILE") {
                let Some(n) = behind("LOOP") else { return (out, &[]) };
                (Lead::Loop(&tokens[..n - 1]), n)
            } else {
                return (out, tokens);
            };
            out.push(lead);
            tokens = &tokens[skip.min(tokens.len())..];
        }
    }

    fn conditional(&self) -> bool {
        self.frames.iter().any(|f| f.conditional)
    }

    fn statement(&mut self, part: &[Token]) {
        let mut declares = self.declares;
        let (leads, tokens) = self.leads(part, &mut declares);
        self.declares = declares;
        for lead in leads {
            match lead {
                Lead::Begin => {
                    let catches = self.catches.get(self.begun).copied().unwrap_or(false);
                    self.begun += 1;
                    self.frames.push(Frame { conditional: catches, variable: None });
                }
                Lead::Open => self.frames.push(Frame { conditional: true, variable: None }),
                Lead::Loop(header) => self.enter_loop(header),
                Lead::End | Lead::EndFlow => {
                    if let Some(Frame { variable: Some(v), .. }) = self.frames.pop() {
                        self.known.remove(&v);
                    }
                }
                Lead::Declare | Lead::Branch | Lead::Exception => {}
            }
        }
        if tokens.is_empty() {
            return;
        }
        if self.declares {
            self.declaration(tokens);
            return;
        }
        self.command += 1;
        let conditional = self.conditional();
        let mut c = Cursor::new(self.text, tokens);
        if c.is("PERFORM") {
            self.as_select(&tokens[1..], conditional);
        } else if c.is("EXECUTE") {
            self.execute(tokens, conditional);
        } else if c.is("RETURN") {
            if c.eat("RETURN QUERY") {
                self.rows_of(&tokens[2..], conditional);
            }
        } else if c.is("OPEN") {
            // OPEN c FOR …; without a FOR the query stands where the cursor is declared.
            c.skip_until(|c| c.is("FOR"));
            if c.eat("FOR") {
                self.rows_of(&tokens[c.pos()..], conditional);
            }
        } else if c.is_any(&["RAISE", "ASSERT", "NULL", "EXIT", "CONTINUE", "GET", "FETCH", "CLOSE", "MOVE"]) {
        } else if let Some(name) = self.assigned(&c) {
            self.assign(&name, tokens, conditional);
        } else {
            match without_targets(self.text, tokens) {
                Some((words, tokens)) => {
                    let start = tokens.first().map_or(0, |t| t.span.start);
                    sql(SqlText::new(&words, start), &tokens, conditional, self.command, self.out);
                }
                None => sql(self.text, tokens, conditional, self.command, self.out),
            }
        }
    }

    /// A query, a statement that returns rows, or EXECUTE of a text that is one.
    fn rows_of(&mut self, tokens: &[Token], conditional: bool) {
        let c = Cursor::new(self.text, tokens);
        if c.is("EXECUTE") {
            self.execute(tokens, conditional);
        } else if query::starts(&c, 0) || super::dml::starts_after_with(&c) {
            sql(self.text, tokens, conditional, self.command, self.out);
        }
    }

    /// `FOR r IN SELECT … LOOP`, `FOREACH x IN ARRAY … LOOP`.
    fn enter_loop(&mut self, header: &[Token]) {
        let mut c = Cursor::new(self.text, header);
        let each = c.eat("FOREACH");
        if !each && !c.eat("FOR") {
            self.frames.push(Frame { conditional: true, variable: None });
            return;
        }
        let name = c.name().map(|n| n.value).unwrap_or_default();
        // Whatever the variable was, in here it is another.
        self.known.remove(&name);
        c.skip_until(|c| c.is("IN"));
        c.eat("IN");
        let mut frame = Frame { conditional: true, variable: None };
        if each && c.eat("ARRAY") {
            let list = expr(&mut c).ok().filter(|_| c.at_end()).and_then(|e| elements(&e, &self.known));
            if let Some(list) = list.filter(|l| !l.is_empty() && !self.unsure.contains(&name)) {
                // All of its rounds are known, so what stands in it runs for sure.
                self.known.insert(name.clone(), list);
                frame = Frame { conditional: false, variable: Some(name) };
            }
        } else if !each {
            self.command += 1;
            let conditional = self.conditional();
            self.rows_of(&header[c.pos()..], conditional);
        }
        self.frames.push(frame);
    }

    /// `name [CONSTANT] type := value`.
    fn declaration(&mut self, tokens: &[Token]) {
        let mut c = Cursor::new(self.text, tokens);
        let Ok(name) = c.name().map(|n| n.value) else { return };
        self.known.remove(&name);
        c.skip_until(|c| c.is_op(":=") || c.is_op("=") || c.is("DEFAULT"));
        if c.at_end() {
            return;
        }
        c.next();
        self.learn(&name, &mut c);
        if self.runs {
            self.followed_call(&tokens[c.pos().min(tokens.len())..]);
        }
    }

    /// The value of a variable from here on.
    fn learn(&mut self, name: &str, c: &mut Cursor<'_>) {
        let mut look = c.clone();
        let value = expr(&mut look).ok().filter(|_| look.at_end()).and_then(|e| fold(&e, &self.known));
        match value {
            Some(v) if !self.unsure.contains(name) => {
                self.known.insert(name.to_string(), v);
            }
            _ => {
                self.known.remove(name);
            }
        }
    }

    /// The variable of `x := …` and `x = …`.
    fn assigned(&self, c: &Cursor<'_>) -> Option<String> {
        let mut look = c.clone();
        let name = look.name().ok()?.value;
        (look.is_op(":=") || look.is_op("=")).then_some(name)
    }

    fn assign(&mut self, name: &str, tokens: &[Token], conditional: bool) {
        let mut c = Cursor::new(self.text, &tokens[2.min(tokens.len())..]);
        self.learn(name, &mut c);
        if self.runs && tokens[2.min(tokens.len())..].iter().any(|t| t.kind == TokenKind::Punct(b'(')) {
            self.as_select(&tokens[2..], conditional);
        }
    }

    fn followed_call(&mut self, tokens: &[Token]) {
        if tokens.iter().any(|t| t.kind == TokenKind::Punct(b'(')) {
            let conditional = self.conditional();
            self.as_select(tokens, conditional);
        }
    }

    /// `PERFORM f(x)` is `SELECT f(x)`, and so is `y := f(x)`.
    fn as_select(&mut self, tokens: &[Token], conditional: bool) {
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return };
        let span = first.span.to(last.span);
        self.generated(&format!("SELECT {}", self.text.slice(span)), span, conditional);
    }

    /// EXECUTE of what is known is read; of anything else it is opaque.
    fn execute(&mut self, tokens: &[Token], conditional: bool) {
        let span = tokens[0].span.to(tokens[tokens.len() - 1].span);
        let mut c = Cursor::new(self.text, &tokens[1..]);
        let value = expr(&mut c).ok().filter(|_| c.at_end() || c.is("INTO") || c.is("USING"));
        if let Some(texts) = value.and_then(|e| fold(&e, &self.known)) {
            for text in texts {
                self.generated(&text, span, conditional);
                self.command += 1;
            }
            return;
        }
        self.out.dynamic = true;
        self.out.concatenated |= tokens.iter().any(|t| t.kind == TokenKind::Op && self.text.slice(t.span) == "||");
        self.out.ops.push(Op {
            span,
            command: self.command,
            conditional,
            nested: true,
            kind: OpKind::Opaque { reason: OpaqueReason::Dynamic },
        });
    }

    fn generated(&mut self, text: &str, span: Span, conditional: bool) {
        let mut found = Body { nesting: self.out.nesting, ..Body::default() };
        let inner = SqlText::new(text, span.start);
        let tokens = tokenize(inner);
        for part in tokens.split(|t| t.kind == TokenKind::Punct(b';')) {
            sql(inner, part, conditional, self.command, &mut found);
        }
        self.out.ops.extend(found.ops.into_iter().map(|mut o| {
            o.span = span;
            o
        }));
    }
}

/// A statement without `INTO [STRICT] x, y`, which in PL/pgSQL fills variables: blanks in its text, and the tokens that remain. `None`: there is
/// none. The INTO of INSERT and MERGE is another one.
fn without_targets(text: SqlText<'_>, tokens: &[Token]) -> Option<(String, Vec<Token>)> {
    let mut c = Cursor::new(text, tokens);
    if !c.is_any(&["SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE"]) {
        return None;
    }
    let whole = tokens.first()?.span.to(tokens.last()?.span);
    let mut words = text.slice(whole).to_owned();
    let mut out = Vec::with_capacity(tokens.len());
    while !c.at_end() {
        let passed = c.skip_until(|c| c.is("INTO"));
        out.extend_from_slice(&tokens[passed]);
        let before = out.last().map_or("", |t: &Token| text.slice(t.span));
        if !c.is("INTO") || before.eq_ignore_ascii_case("insert") || before.eq_ignore_ascii_case("merge") {
            out.extend(c.next());
            continue;
        }
        let start = c.pos();
        c.next();
        c.eat("STRICT");
        let target = |c: &mut Cursor<'_>| {
            c.dotted()?;
            while c.is_punct(b'[') {
                c.skip_parens();
            }
            Ok(())
        };
        c.list(target).ok()?;
        let gone = c.span_from(start);
        let range = (gone.start - whole.start) as usize..(gone.end - whole.start) as usize;
        words.replace_range(range.clone(), &" ".repeat(range.len()));
    }
    (out.len() < tokens.len()).then_some((words, out))
}
