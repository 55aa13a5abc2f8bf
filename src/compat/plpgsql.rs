//! Reads the simple PL/pgSQL that triggers are mostly made of: IF, assignment, RAISE, RETURN, with their expressions.
//! What it does not know becomes `Step::Unknown`; nothing is guessed.

use crate::op::{Call, Expr, ExprKind, Name, QName};
use crate::source::Span;

#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Assign(Target, Expr),
    If {
        branches: Vec<(Expr, Vec<Step>)>,
        otherwise: Vec<Step>,
    },
    /// RAISE EXCEPTION with its SQLSTATE.
    Raise(&'static str),
    Return {
        null: bool,
    },
    /// NULL; RAISE NOTICE; static SQL (judged elsewhere).
    Nothing,
    Unknown,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// `NEW.column`
    New(String),
    Other,
}

/// The statements between the outermost BEGIN and END; `None` where there are none.
pub fn parse(body: &str) -> Option<Vec<Step>> {
    let tokens = tokens(body)?;
    let mut p = Parser { t: &tokens, at: 0, depth: 0 };
    while p.at < p.t.len() && !p.word_is("begin") {
        p.at += 1;
    }
    p.eat("begin").then_some(())?;
    Some(p.block(&["end", "exception"]))
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// Folded, or as quoted.
    Word(String),
    Quoted(String),
    Text(String),
    Number(String),
    Symbol(String),
}

fn tokens(body: &str) -> Option<Vec<Token>> {
    let c: Vec<char> = body.chars().collect();
    let mut i = 0;
    let mut out = Vec::new();
    while i < c.len() {
        let ch = c[i];
        let next = c.get(i + 1).copied();
        if ch.is_whitespace() {
            i += 1;
        } else if ch == '-' && next == Some('-') {
            while i < c.len() && c[i] != '\n' {
                i += 1;
            }
        } else if ch == '/' && next == Some('*') {
            i += 2;
            while i + 1 < c.len() && !(c[i] == '*' && c[i + 1] == '/') {
                i += 1;
            }
            i += 2;
        } else if ch == '\'' || ch == '"' {
            let mut text = String::new();
            i += 1;
            loop {
                match c.get(i) {
                    None => return None,
                    Some(q) if *q == ch && c.get(i + 1) == Some(&ch) => {
                        text.push(ch);
                        i += 2;
                    }
                    Some(q) if *q == ch => break,
                    Some(other) => {
                        text.push(*other);
                        i += 1;
                    }
                }
            }
            i += 1;
            out.push(if ch == '"' { Token::Quoted(text) } else { Token::Text(text) });
        } else if ch.is_alphabetic() || ch == '_' {
            let start = i;
            while i < c.len() && (c[i].is_alphanumeric() || matches!(c[i], '_' | '$')) {
                i += 1;
            }
            out.push(Token::Word(c[start..i].iter().collect::<String>().to_lowercase()));
        } else if ch.is_ascii_digit() {
            let start = i;
            while i < c.len() && (c[i].is_ascii_digit() || (c[i] == '.' && c.get(i + 1).is_some_and(char::is_ascii_digit))) {
                i += 1;
            }
            out.push(Token::Number(c[start..i].iter().collect()));
        } else if ch == '$' {
            // Dollar quotes inside a body: dynamic SQL, not followed.
            return None;
        } else {
            let two: String = [Some(ch), next].into_iter().flatten().collect();
            let symbol =
                if matches!(two.as_str(), ":=" | "<>" | "!=" | "<=" | ">=" | "||" | "::" | "->" | "~*") { two } else { ch.to_string() };
            i += symbol.chars().count();
            out.push(Token::Symbol(symbol));
        }
    }
    Some(out)
}

/// Deeper nesting is not followed.
const MAX_DEPTH: usize = 40;

struct Parser<'t> {
    t: &'t [Token],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn word_is(&self, w: &str) -> bool {
        matches!(self.t.get(self.at), Some(Token::Word(x)) if x == w)
    }
    fn symbol_is(&self, s: &str) -> bool {
        matches!(self.t.get(self.at), Some(Token::Symbol(x)) if x == s)
    }
    fn eat(&mut self, w: &str) -> bool {
        let hit = self.word_is(w);
        self.at += usize::from(hit);
        hit
    }
    fn eat_symbol(&mut self, s: &str) -> bool {
        let hit = self.symbol_is(s);
        self.at += usize::from(hit);
        hit
    }

    /// Statements up to one of the words, which is not taken.
    fn block(&mut self, until: &[&str]) -> Vec<Step> {
        let mut out = Vec::new();
        while self.at < self.t.len() && !until.iter().any(|w| self.word_is(w)) {
            let start = self.at;
            out.push(self.step());
            if self.at == start {
                self.at += 1;
            }
        }
        if self.word_is("exception") {
            // A handler may swallow what is raised.
            out.insert(0, Step::Unknown);
        }
        out
    }

    fn step(&mut self) -> Step {
        let depth = self.depth;
        self.depth += 1;
        let step = if self.depth > MAX_DEPTH { None } else { self.known_step() };
        self.depth = depth;
        step.unwrap_or_else(|| {
            self.skip_statement();
            Step::Unknown
        })
    }

    fn known_step(&mut self) -> Option<Step> {
        if self.eat("if") {
            let mut branches = Vec::new();
            let condition = self.expr(0)?;
            self.eat("then").then_some(())?;
            branches.push((condition, self.block(&["elsif", "elseif", "else", "end"])));
            while self.eat("elsif") || self.eat("elseif") {
                let condition = self.expr(0)?;
                self.eat("then").then_some(())?;
                branches.push((condition, self.block(&["elsif", "elseif", "else", "end"])));
            }
            let otherwise = if self.eat("else") { self.block(&["end"]) } else { Vec::new() };
            (self.eat("end") && self.eat("if")).then_some(())?;
            self.eat_symbol(";");
            return Some(Step::If { branches, otherwise });
        }
        if self.eat("return") {
            let null = self.word_is("null");
            self.skip_statement();
            return Some(Step::Return { null });
        }
        if self.eat("raise") {
            return Some(self.raise());
        }
        if self.word_is("null") || self.word_is("perform") || self.word_is("insert") || self.word_is("update") || self.word_is("delete") {
            let plain = !self.statement_has("into");
            self.skip_statement();
            return Some(if plain { Step::Nothing } else { Step::Unknown });
        }
        let target = match (self.t.get(self.at), self.t.get(self.at + 1), self.t.get(self.at + 2)) {
            (Some(Token::Word(n)), Some(Token::Symbol(dot)), Some(Token::Word(c) | Token::Quoted(c))) if n == "new" && dot == "." => {
                self.at += 3;
                Target::New(c.clone())
            }
            (Some(Token::Word(w)), Some(Token::Symbol(s)), _) if (s == ":=" || s == "=") && w != "new" => {
                self.at += 1;
                Target::Other
            }
            _ => return None,
        };
        (self.eat_symbol(":=") || self.eat_symbol("=")).then_some(())?;
        let value = self.expr(0);
        let clean = value.is_some() && self.symbol_is(";");
        self.skip_statement();
        match target {
            Target::New(c) => Some(Step::Assign(Target::New(c), if clean { value? } else { opaque() })),
            // A variable that later decides something: its value is not kept, so it reads as unknown.
            Target::Other => Some(Step::Assign(Target::Other, opaque())),
        }
    }

    fn raise(&mut self) -> Step {
        let level = match self.t.get(self.at) {
            Some(Token::Word(w)) => w.clone(),
            Some(Token::Text(_)) => "exception".into(),
            _ => "exception".into(),
        };
        if matches!(level.as_str(), "debug" | "log" | "info" | "notice" | "warning") {
            self.skip_statement();
            return Step::Nothing;
        }
        let start = self.at;
        self.skip_statement();
        let words = &self.t[start..self.at.min(self.t.len())];
        let mut state = "P0001";
        for w in words.windows(3) {
            if let [Token::Word(k), Token::Symbol(eq), Token::Text(v)] = w
                && k == "errcode"
                && (eq == "=" || eq == ":=")
            {
                state = sqlstate(v);
            }
        }
        match words {
            [Token::Word(k), Token::Text(v), ..] if k == "sqlstate" => state = sqlstate(v),
            [Token::Word(e), Token::Word(k), Token::Text(v), ..] if e == "exception" && k == "sqlstate" => state = sqlstate(v),
            [Token::Word(condition), ..] if condition != "exception" && condition != "sqlstate" => state = sqlstate(condition),
            _ => {}
        }
        Step::Raise(state)
    }

    fn statement_has(&self, w: &str) -> bool {
        let rest = &self.t[self.at..];
        let end = rest.iter().position(|t| matches!(t, Token::Symbol(s) if s == ";")).unwrap_or(rest.len());
        // INSERT INTO is no INTO of a result.
        rest[..end].iter().skip(2).any(|t| matches!(t, Token::Word(x) if x == w))
    }

    /// To behind the next semicolon; a loop or block is passed as a whole.
    fn skip_statement(&mut self) {
        let nested = ["loop", "while", "for", "foreach", "begin", "declare", "case"];
        let opens = nested.iter().any(|w| self.word_is(w));
        let mut depth = 0usize;
        while let Some(t) = self.t.get(self.at) {
            self.at += 1;
            match t {
                Token::Word(w) if opens && matches!(w.as_str(), "loop" | "begin" | "if" | "case") => depth += 1,
                Token::Word(w) if opens && w == "end" => {
                    depth = depth.saturating_sub(1);
                    for w in ["loop", "if", "case"] {
                        if self.eat(w) {
                            break;
                        }
                    }
                }
                Token::Symbol(s) if s == ";" && depth == 0 => return,
                _ => {}
            }
        }
    }

    /// Precedence climbing: OR 1, AND 2, NOT 3, comparison 4, other 5, || 5, + - 6, * / 7.
    fn expr(&mut self, least: u8) -> Option<Expr> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let mut left = self.prefix()?;
        loop {
            if self.word_is("is") && least <= 4 {
                self.at += 1;
                let negated = self.eat("not");
                if self.eat("null") {
                    left = make(ExprKind::IsNull { expr: Box::new(left), negated });
                } else if self.eat("distinct") && self.eat("from") {
                    let op = if negated { "IS NOT DISTINCT FROM" } else { "IS DISTINCT FROM" };
                    let right = self.expr(5)?;
                    left = make(ExprKind::Binary { op: op.into(), left: Box::new(left), right: Box::new(right) });
                } else {
                    return None;
                }
                continue;
            }
            let negated = self.word_is("not") && matches!(self.t.get(self.at + 1), Some(Token::Word(w)) if w == "in" || w == "like");
            let at = self.at + usize::from(negated);
            let (op, level) = match self.t.get(at) {
                Some(Token::Word(w)) if w == "or" => ("OR".to_string(), 1),
                Some(Token::Word(w)) if w == "and" => ("AND".to_string(), 2),
                Some(Token::Word(w)) if w == "in" || w == "like" => {
                    (format!("{}{}", if negated { "NOT " } else { "" }, w.to_uppercase()), 4)
                }
                Some(Token::Symbol(s)) => match s.as_str() {
                    "=" | "<>" | "!=" | "<" | ">" | "<=" | ">=" => (s.clone(), 4),
                    "||" => (s.clone(), 5),
                    "+" | "-" => (s.clone(), 6),
                    "*" | "/" | "%" => (s.clone(), 7),
                    _ => break,
                },
                _ => break,
            };
            if level < least {
                break;
            }
            self.at = at + 1;
            let right = if op.ends_with("IN") {
                self.eat_symbol("(").then_some(())?;
                let items = self.list()?;
                make(ExprKind::Row(items))
            } else {
                self.expr(level + 1)?
            };
            left = make(ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) });
        }
        self.depth -= 1;
        Some(left)
    }

    fn prefix(&mut self) -> Option<Expr> {
        if self.eat("not") {
            let e = self.expr(3)?;
            return Some(make(ExprKind::Unary { op: "NOT".into(), expr: Box::new(e) }));
        }
        if self.eat_symbol("-") {
            let e = self.expr(8)?;
            return Some(make(ExprKind::Unary { op: "-".into(), expr: Box::new(e) }));
        }
        let mut e = match self.t.get(self.at)?.clone() {
            Token::Symbol(s) if s == "(" => {
                self.at += 1;
                let e = self.expr(0)?;
                self.eat_symbol(")").then_some(())?;
                e
            }
            Token::Number(n) => self.taken(ExprKind::Number(n)),
            Token::Text(t) => self.taken(ExprKind::String(t)),
            Token::Word(w) if w == "null" => self.taken(ExprKind::Null),
            Token::Word(w) if w == "true" || w == "false" => self.taken(ExprKind::Bool(w == "true")),
            Token::Word(w) if matches!(w.as_str(), "select" | "exists" | "case" | "array" | "then" | "loop" | "not") => return None,
            Token::Word(w) | Token::Quoted(w) => {
                self.at += 1;
                let mut parts = vec![w];
                while self.eat_symbol(".") {
                    match self.t.get(self.at).cloned() {
                        Some(Token::Word(w) | Token::Quoted(w)) => {
                            self.at += 1;
                            parts.push(w);
                        }
                        _ => return None,
                    }
                }
                if self.eat_symbol("(") {
                    let args = self.list()?;
                    let name = super::expr::qname(&parts)?;
                    make(ExprKind::Call(Box::new(Call { name, args, star: false, window: false })))
                } else {
                    make(ExprKind::Column(parts.into_iter().map(name).collect()))
                }
            }
            Token::Symbol(_) => return None,
        };
        while self.eat_symbol("::") {
            let Some(Token::Word(w) | Token::Quoted(w)) = self.t.get(self.at).cloned() else { return None };
            self.at += 1;
            // Only the kind of value matters to what is evaluated here.
            e = make(ExprKind::Cast { expr: Box::new(e), ty: type_name(w) });
        }
        Some(e)
    }

    fn taken(&mut self, kind: ExprKind) -> Expr {
        self.at += 1;
        make(kind)
    }

    /// Up to the closing parenthesis.
    fn list(&mut self) -> Option<Vec<Expr>> {
        let mut out = Vec::new();
        if self.eat_symbol(")") {
            return Some(out);
        }
        loop {
            out.push(self.expr(0)?);
            if self.eat_symbol(")") {
                return Some(out);
            }
            self.eat_symbol(",").then_some(())?;
        }
    }
}

fn make(kind: ExprKind) -> Expr {
    Expr { text: String::new(), span: Span::default(), kind }
}

fn opaque() -> Expr {
    make(ExprKind::Other(Vec::new()))
}

fn name(value: String) -> Name {
    Name::new(value, Span::default())
}

fn type_name(value: String) -> crate::op::TypeName {
    crate::op::TypeName {
        name: QName { schema: None, name: name(value) },
        modifiers: Vec::new(),
        array_dims: 0,
        setof: false,
        percent_type: false,
        span: Span::default(),
        text: String::new(),
    }
}

/// A condition's name or code, as RAISE takes it.
fn sqlstate(text: &str) -> &'static str {
    const CODES: &[(&str, &str)] = &[
        ("P0001", "raise_exception"),
        ("22023", "invalid_parameter_value"),
        ("22P02", "invalid_text_representation"),
        ("22003", "numeric_value_out_of_range"),
        ("22000", "data_exception"),
        ("23000", "integrity_constraint_violation"),
        ("23001", "restrict_violation"),
        ("23502", "not_null_violation"),
        ("23503", "foreign_key_violation"),
        ("23505", "unique_violation"),
        ("23514", "check_violation"),
        ("23P01", "exclusion_violation"),
        ("42501", "insufficient_privilege"),
        ("42703", "undefined_column"),
        ("42P01", "undefined_table"),
        ("0A000", "feature_not_supported"),
        ("55000", "object_not_in_prerequisite_state"),
        ("P0002", "no_data_found"),
        ("P0004", "assert_failure"),
    ];
    CODES.iter().find(|(code, name)| code.eq_ignore_ascii_case(text) || name.eq_ignore_ascii_case(text)).map_or("P0001", |c| c.0)
}
