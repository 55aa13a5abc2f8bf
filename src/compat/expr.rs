//! Expressions: what they are made of, what type they have, what analysis says against them.

use std::collections::BTreeSet;

use crate::catalog::{ColumnType, Id};
use crate::op::{Call, Expr, ExprKind, Name, QName};

use super::names::Session;
use super::outcome::{Bound, Fail, May, RowTypeUse};
use super::permissions::{self, Need};
use super::scope::{self, Found, Scopes};
use super::types::{self, Category, Reach, Typed};
use super::{builtins, functions, input, operators};

/// Analyses one statement and keeps what it meets on the way.
pub struct Binder<'a, 's> {
    pub s: &'s Session<'a>,
    pub needs: Vec<Need>,
    pub relations: Vec<Id>,
    pub functions: Vec<Id>,
    pub row_types: Vec<RowTypeUse>,
    /// Errors of the planner, before privileges are checked.
    pub plan: Vec<Fail>,
    /// Errors that the executor would raise, in order; privileges are checked before them.
    pub run: Vec<Fail>,
    pub may: Vec<May>,
    /// Tables whose rows are read, for row security.
    pub scans: Vec<Id>,
    pub opaque: bool,
    /// On whose behalf relations are read now (inside a view).
    pub behalf: Option<Option<String>>,
    /// Calls inside calls: a function that calls itself is entered once.
    pub entered: Vec<Id>,
    pub ctes: Vec<(String, Vec<scope::ScopeColumn>)>,
}

impl<'a, 's> Binder<'a, 's> {
    pub fn new(s: &'s Session<'a>) -> Self {
        Binder {
            s,
            needs: Vec::new(),
            relations: Vec::new(),
            functions: Vec::new(),
            row_types: Vec::new(),
            plan: Vec::new(),
            run: Vec::new(),
            may: Vec::new(),
            scans: Vec::new(),
            opaque: false,
            behalf: None,
            entered: Vec::new(),
            ctes: Vec::new(),
        }
    }

    /// Notes a privilege that the statement needs; columns of one relation are gathered.
    pub fn need(&mut self, relation: Id, privilege: &'static str, column: Option<&str>) {
        let on_behalf = self.behalf.clone();
        let known = self.needs.iter_mut().find(|n| n.relation == relation && n.privilege == privilege && n.on_behalf == on_behalf);
        let columns = column.map(str::to_string);
        match known {
            Some(n) => n.columns.extend(columns),
            None => self.needs.push(Need { relation, privilege, columns: BTreeSet::from_iter(columns), on_behalf }),
        }
    }

    pub fn expr(&mut self, scopes: &Scopes<'_>, e: &Expr) -> Bound<Typed> {
        Ok(match &e.kind {
            ExprKind::Null => Typed::Literal(None),
            ExprKind::Bool(_) => Typed::named("boolean"),
            ExprKind::Number(n) => Typed::Is(types::number(n)),
            ExprKind::String(s) => Typed::Literal(Some(s.clone())),
            ExprKind::Param(p) => self.param(p),
            ExprKind::Column(parts) => self.column(scopes, parts)?.0,
            ExprKind::Star(_) => Typed::Opaque,
            ExprKind::Call(c) => self.call(scopes, c)?,
            ExprKind::Cast { expr, ty } => {
                let inner = self.expr(scopes, expr)?;
                let Some(to) = self.s.type_named(ty)? else { return Ok(Typed::Opaque) };
                self.explicit_cast(&inner, &to)?;
                Typed::Is(to)
            }
            ExprKind::SqlValue(w) => match w.to_ascii_uppercase().split('(').next().unwrap_or("").trim() {
                "CURRENT_DATE" => Typed::named("date"),
                "CURRENT_TIMESTAMP" => Typed::named("timestamp with time zone"),
                "LOCALTIMESTAMP" => Typed::named("timestamp without time zone"),
                "CURRENT_USER" | "SESSION_USER" | "USER" | "CURRENT_ROLE" => Typed::named("name"),
                _ => Typed::Opaque,
            },
            ExprKind::Unary { op, expr } => {
                let t = self.expr(scopes, expr)?;
                match op.to_ascii_uppercase().as_str() {
                    "NOT" => {
                        self.boolean(&t)?;
                        Typed::named("boolean")
                    }
                    "-" | "+" => t,
                    op if op.starts_with("IS ") => Typed::named("boolean"),
                    _ => Typed::Opaque,
                }
            }
            ExprKind::Binary { op, left, right } => self.binary(scopes, op, left, right)?,
            ExprKind::IsNull { expr, .. } => {
                self.expr(scopes, expr)?;
                Typed::named("boolean")
            }
            ExprKind::Array(items) => {
                let mut all = Typed::Literal(None);
                for i in items {
                    let t = self.expr(scopes, i)?;
                    all = types::common(self.s.cat, &all, &t).map_err(|()| Fail::bare("42804"))?;
                }
                match all {
                    Typed::Is(t) if t.array_dims == 0 => Typed::Is(ColumnType { array_dims: 1, ..t }),
                    _ => Typed::Opaque,
                }
            }
            ExprKind::Collate { expr, .. } => self.expr(scopes, expr)?,
            ExprKind::Subquery(q) => {
                let columns = self.query(scopes, q)?;
                let word = e.text.trim_start().get(..6).unwrap_or("").to_ascii_uppercase();
                if word.starts_with("EXISTS") || word.starts_with("NOT EX") {
                    Typed::named("boolean")
                } else if word.starts_with("ARRAY") {
                    Typed::Opaque
                } else {
                    columns.and_then(|c| c.first().map(|c| Typed::maybe(c.ty.clone()))).unwrap_or(Typed::Opaque)
                }
            }
            ExprKind::Row(items) | ExprKind::Case(items) | ExprKind::Other(items) => {
                for i in items {
                    self.expr(scopes, i)?;
                }
                Typed::Opaque
            }
        })
    }

    fn param(&self, name: &str) -> Typed {
        // What the application sends was a value of the schema before.
        let cat = self.s.before.unwrap_or(self.s.cat);
        match self.s.samples.get(name) {
            Some(t) if self.s.typed => Typed::Is(ColumnType { modifiers: Vec::new(), ..types::base(cat, t) }),
            // Numbers and booleans stand bare in a statement, everything else in quotes.
            Some(t) => match types::category(cat, t) {
                Category::Numeric | Category::Bool => Typed::Is(ColumnType { modifiers: Vec::new(), ..types::base(cat, t) }),
                _ => match input::boundary_values(cat, &types::base(cat, t)).into_iter().next() {
                    Some(v) => Typed::Literal(Some(v)),
                    None => Typed::Param,
                },
            },
            // The facts' placeholders stand for an integer that is pasted into the text.
            None if name.starts_with('{') => Typed::named("integer"),
            None => Typed::Param,
        }
    }

    /// A column's type and, where it is a bare column, its collation.
    pub fn column(&mut self, scopes: &Scopes<'_>, parts: &[Name]) -> Bound<(Typed, Option<String>)> {
        let (found, depth) = scope::find(scopes, parts)?;
        match found {
            Found::Column(c) => {
                let item = scopes.get(depth).and_then(|s| s.items.get(c.item));
                self.touch(item, &c);
                Ok((Typed::maybe(c.ty), c.collation))
            }
            Found::Row(i) => {
                if let Some(item) = scopes.get(depth).and_then(|s| s.items.get(i))
                    && let Some(rel) = item.relation.filter(|_| item.needs_select)
                {
                    let system = parts.last().is_some_and(|p| p.value != item.alias);
                    for c in item.columns.iter().filter(|_| !system) {
                        self.need(rel, "SELECT", Some(&c.name));
                    }
                }
                Ok((Typed::Opaque, None))
            }
            Found::Open => Ok((Typed::Opaque, None)),
        }
    }

    /// WHERE, ON, HAVING, AND, OR, NOT.
    pub fn condition(&mut self, scopes: &Scopes<'_>, e: &Expr) -> Bound<()> {
        let t = self.expr(scopes, e)?;
        self.boolean(&t)
    }

    fn boolean(&self, t: &Typed) -> Bound<()> {
        match t {
            Typed::Is(t) if types::base(self.s.cat, t).name != "boolean" => Err(Fail::bare("42804")),
            Typed::Literal(Some(s)) => input::accept(self.s.cat, &types::named("boolean"), s).map_err(Fail::bare),
            _ => Ok(()),
        }
    }

    fn binary(&mut self, scopes: &Scopes<'_>, op: &str, left: &Expr, right: &Expr) -> Bound<Typed> {
        let op = op.to_ascii_uppercase();
        let l = self.expr(scopes, left)?;
        if matches!(op.as_str(), "AND" | "OR") {
            let r = self.expr(scopes, right)?;
            self.boolean(&l)?;
            self.boolean(&r)?;
            return Ok(Typed::named("boolean"));
        }
        if let (true, ExprKind::Row(bounds)) = (op.ends_with("BETWEEN"), &right.kind) {
            for i in bounds {
                let r = self.expr(scopes, i)?;
                operators::binary(self.s.cat, "<=", &l, &r)?;
            }
            return Ok(Typed::named("boolean"));
        }
        // The members of an IN list are compared one by one.
        if let (true, ExprKind::Row(items) | ExprKind::Other(items)) = (operators::is_comparison(&op), &right.kind)
            && matches!(op.as_str(), "IN" | "NOT IN")
        {
            for i in items {
                let r = self.expr(scopes, i)?;
                operators::binary(self.s.cat, "=", &l, &r)?;
            }
            return Ok(Typed::named("boolean"));
        }
        let r = self.expr(scopes, right)?;
        if own_operators(self.s) {
            return Ok(if operators::is_comparison(&op) { Typed::named("boolean") } else { Typed::Opaque });
        }
        operators::binary(self.s.cat, &op, &l, &r)
    }

    fn explicit_cast(&mut self, from: &Typed, to: &ColumnType) -> Bound<()> {
        match from {
            Typed::Literal(Some(text)) => {
                if to.name.starts_with("reg") && to.array_dims == 0 {
                    return if to.name == "regclass" { self.regclass(text).map(|_| ()) } else { Ok(()) };
                }
                // A cast cuts a string to the length, it does not refuse.
                let plain = ColumnType { modifiers: if keeps_modifiers(to) { to.modifiers.clone() } else { Vec::new() }, ..to.clone() };
                if plain.modifiers.is_empty() && matches!(plain.name.as_str(), "character" | "bit") {
                    return Ok(());
                }
                input::accept(self.s.cat, &plain, text).map_err(|s| Fail::new(s, text))
            }
            Typed::Is(t) if types::cast(self.s.cat, t, to).is_none() && decided(self.s, t, to) => Err(Fail::new("42846", to.to_string())),
            _ => Ok(()),
        }
    }

    /// Can a value of that kind be stored in a column of type `to`? Literals are read by the type's input function here.
    pub fn assign(&mut self, from: &Typed, to: &ColumnType, column: &str) -> Bound<()> {
        let cat = self.s.cat;
        match from {
            Typed::Literal(Some(text)) => {
                // The length is enforced later, by a cast that the planner folds.
                let plain = ColumnType { modifiers: Vec::new(), ..types::base(cat, to) };
                if matches!(plain.name.as_str(), "character" | "bit") {
                    return Ok(());
                }
                input::accept(cat, &plain, text).map_err(|s| Fail::new(s, column))
            }
            Typed::Is(t) if decided(self.s, t, to) => match types::cast(cat, t, to) {
                Some(Reach::Implicit | Reach::Assignment) => Ok(()),
                _ => Err(Fail::new("42804", column)),
            },
            _ => Ok(()),
        }
    }

    pub fn call(&mut self, scopes: &Scopes<'_>, c: &Call) -> Bound<Typed> {
        let name = c.name.as_str();
        let mut args = Vec::with_capacity(c.args.len());
        for a in &c.args {
            args.push(self.expr(scopes, a)?);
        }
        let built_in_schema = c.name.schema_str().is_none_or(|s| s == "pg_catalog");
        if built_in_schema {
            match name.to_ascii_lowercase().as_str() {
                "coalesce" | "greatest" | "least" => {
                    let mut all = Typed::Literal(None);
                    for a in &args {
                        all = types::common(self.s.cat, &all, a).map_err(|()| Fail::new("42804", name))?;
                    }
                    for a in &args {
                        if let (Typed::Literal(Some(text)), Some(t)) = (a, all.ty()) {
                            input::accept(self.s.cat, &ColumnType { modifiers: Vec::new(), ..t.clone() }, text)
                                .map_err(|s| Fail::new(s, text))?;
                        }
                    }
                    return Ok(all);
                }
                "nullif" => {
                    if let [a, b] = args.as_slice() {
                        operators::binary(self.s.cat, "=", a, b)?;
                        return Ok(a.clone());
                    }
                }
                "any" | "all" | "some" | "row" | "grouping" => return Ok(Typed::Opaque),
                "nextval" | "currval" | "setval" => {
                    if let Some(ExprKind::String(text)) = c.args.first().map(|a| &strip_cast(a).kind) {
                        self.sequence_call(text)?;
                    }
                    return Ok(Typed::named("bigint"));
                }
                _ => {}
            }
        }
        if let Some(t) = functions::resolve(self, &c.name, &args, false)? {
            return Ok(t.scalar);
        }
        if built_in_schema && builtins::is_known(name) && !self.s.own_function(name) {
            return builtins::call(self.s.cat, name, &args);
        }
        Ok(Typed::Opaque)
    }

    /// `'seq'::regclass` is looked up by analysis, the privilege when the call runs.
    fn sequence_call(&mut self, text: &str) -> Bound<()> {
        if let Some(id) = self.regclass(text)?
            && let Some(seq) = self.s.get(id)
        {
            self.relations.push(id);
            if seq.kind != crate::catalog::RelKind::Sequence {
                self.run.push(Fail::new("42809", seq.name.clone()));
            } else if self.behalf.is_none() && !permissions::may_use_sequence(self.s, seq) {
                self.run.push(Fail::new("42501", seq.name.clone()));
            }
        }
        Ok(())
    }

    fn regclass(&mut self, text: &str) -> Bound<Option<Id>> {
        if text.trim().chars().all(|c| c.is_ascii_digit()) {
            return Ok(None);
        }
        let parts = split_name(text);
        let Some(name) = qname(&parts) else { return Ok(None) };
        if let Some(schema) = name.schema_str().filter(|s| self.s.no_such_schema(s)) {
            // 16 and later ask without raising an error of their own for the schema.
            return Err(Fail::new(if self.s.pg.0 >= 16 { "42P01" } else { "3F000" }, schema));
        }
        self.s.relation(&name).map(|r| Some(r.id))
    }
}

/// Does the catalog know enough about both types to say that no cast exists?
fn decided(s: &Session<'_>, a: &ColumnType, b: &ColumnType) -> bool {
    let own = |t: &ColumnType| t.id.is_some() || types::is_named_built_in(&t.name);
    let own_casts = s.cat.objects_of(crate::op::ObjectKind::Cast).next().is_some();
    own(a) && own(b) && !own_casts
}

fn own_operators(s: &Session<'_>) -> bool {
    [crate::op::ObjectKind::Operator, crate::op::ObjectKind::Cast].into_iter().any(|k| s.cat.objects_of(k).next().is_some())
}

fn keeps_modifiers(t: &ColumnType) -> bool {
    !matches!(t.name.as_str(), "character varying" | "character" | "bpchar" | "bit" | "bit varying")
}

pub fn strip_cast(e: &Expr) -> &Expr {
    match &e.kind {
        ExprKind::Cast { expr, .. } => strip_cast(expr),
        _ => e,
    }
}

/// `a.b`, `"A".b` as in a text that names a relation: folded unless quoted.
pub fn split_name(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.trim().chars().peekable();
    while let Some(c) = chars.next() {
        let Some(last) = parts.last_mut() else { break };
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                last.push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            c if quoted => last.push(c),
            c => last.extend(c.to_lowercase()),
        }
    }
    parts
}

pub fn qname(parts: &[String]) -> Option<QName> {
    let name = |s: &String| Name::new(s.clone(), crate::source::Span::default());
    match parts {
        [n] => Some(QName { schema: None, name: name(n) }),
        [.., s, n] => Some(QName { schema: Some(name(s)), name: name(n) }),
        [] => None,
    }
}
