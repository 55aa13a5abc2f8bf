//! The statements that an application may run against one relation, as SQL to run and as operations to judge.
//!
//! Prediction and shadow use the same list: what `predict` says about a shape is checked by running its SQL.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Column, ColumnType, ConKind, Function, RelKind, RelName, Relation, Type, TypeKind};
use crate::op::{
    Assignment, Call, ConflictTarget, Dml, DmlKind, Expr, ExprKind, FromItem, InsertSource, Name, ObjectKind, OnConflict, Op, OpKind,
    QName, Query, QueryBody, RowLock, Select, Target,
};
use crate::quote;
use crate::source::Span;

use super::types;
use super::{Shape, arbiters, input, query};

/// One statement, ready to run once its parameters have values.
#[derive(Debug, Clone, PartialEq)]
pub struct ShapeSql {
    pub shape: Shape,
    pub relation: RelName,
    pub params: Vec<ShapeParam>,
    /// What the prediction judges.
    pub op: Op,
    pieces: Vec<Piece>,
}

/// A value that the application supplies: valid for the schema that the shape was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct ShapeParam {
    /// The column that it is for; `None` for an argument of a function.
    pub column: Option<String>,
    pub ty: ColumnType,
    /// It finds an existing row: take the value from one. Otherwise, in a unique key, it must be new.
    pub finds: bool,
    /// Part of the primary key or of a unique key.
    pub key: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Param(usize),
}

impl ShapeSql {
    /// With `$1`, `$2`, … for PREPARE.
    pub fn sql(&self) -> String {
        self.render(|i| format!("${}", i + 1))
    }

    /// With the values pasted in, as a statement that is sent as text. `None` is NULL. Numbers and booleans stand bare,
    /// everything else is an untyped literal.
    pub fn fill(&self, values: &[Option<String>]) -> String {
        self.render(|i| match values.get(i) {
            Some(Some(v)) => match self.params.get(i) {
                Some(p) if p.bare(v) => v.clone(),
                _ => quote::literal(v),
            },
            _ => "NULL".into(),
        })
    }

    fn render(&self, param: impl Fn(usize) -> String) -> String {
        let text = self.pieces.iter().map(|p| match p {
            Piece::Text(t) => t.clone(),
            Piece::Param(i) => param(*i),
        });
        text.collect()
    }

    /// The types of its parameters by their names in `op`.
    pub fn samples(&self) -> BTreeMap<String, ColumnType> {
        self.params.iter().enumerate().map(|(i, p)| (param_name(i), p.ty.clone())).collect()
    }
}

impl ShapeParam {
    fn bare(&self, value: &str) -> bool {
        let number = value.parse::<f64>().is_ok_and(f64::is_finite);
        match self.ty.name.as_str() {
            _ if self.ty.array_dims > 0 => false,
            "boolean" => matches!(value, "true" | "false"),
            "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" => number,
            _ => false,
        }
    }

    /// Values of its type that suit any table; the first is the most ordinary one.
    pub fn examples(&self, cat: &Catalog) -> Vec<String> {
        input::boundary_values(cat, &types::base(cat, &self.ty))
    }
}

fn param_name(i: usize) -> String {
    format!("${}", i + 1)
}

/// Every shape that suits a relation: table, view, sequence.
pub fn shapes(cat: &Catalog, rel: &Relation) -> Vec<ShapeSql> {
    let mut out = Vec::new();
    match rel.kind {
        RelKind::Table | RelKind::PartitionedTable => table(cat, rel, &mut out),
        RelKind::View | RelKind::MaterializedView | RelKind::ForeignTable => {
            out.push(read_all(rel, Shape::ReadView));
            out.extend(read_named(rel));
        }
        RelKind::Sequence => {
            let mut b = Builder::new(Shape::Nextval, rel.rel_name());
            b.text("SELECT nextval(").text(quote::literal(&rel.rel_name().sql())).text(")");
            let arg = expr(ExprKind::String(rel.rel_name().sql()));
            out.push(b.select(Vec::new(), vec![call("nextval", vec![arg])]));
        }
        RelKind::Index | RelKind::PartitionedIndex | RelKind::Composite => {}
    }
    out
}

/// `SELECT f(…)` or `CALL p(…)`.
pub fn function_shape(cat: &Catalog, f: &Function) -> Option<ShapeSql> {
    let callable = !matches!(f.returns.as_str(), "trigger" | "event_trigger") && f.kind != ObjectKind::Aggregate;
    let inputs: Vec<_> = f.def.args.iter().filter(|a| a.mode != "OUT").collect();
    let polymorphic = f.arg_types.iter().any(|t| t.starts_with("any") || t == "internal");
    if !callable || polymorphic || inputs.len() != f.arg_types.len() {
        return None;
    }
    let name = RelName::new(&f.schema, &f.name);
    let mut b = Builder::new(Shape::Call, name.clone());
    let procedure = f.kind == ObjectKind::Procedure;
    b.text(if procedure { "CALL " } else { "SELECT " }).text(name.sql()).text("(");
    let mut args = Vec::new();
    for (i, (a, t)) in inputs.iter().zip(&f.arg_types).enumerate() {
        // Arguments with defaults are left out, as old callers do.
        if a.default.is_some() || a.mode == "VARIADIC" {
            break;
        }
        b.text(if i > 0 { ", " } else { "" });
        args.push(b.param(None, written_type(cat, t), false, false));
    }
    b.text(")");
    Some(if procedure {
        b.finish(OpKind::Call { name: qname(&name), args })
    } else {
        let c = expr(ExprKind::Call(Box::new(Call { name: qname(&name), args, star: false, window: false })));
        b.select(Vec::new(), vec![c])
    })
}

/// `'label'::type` of an enum, once for every label.
pub fn cast_shapes(t: &Type) -> Vec<ShapeSql> {
    let TypeKind::Enum { labels } = &t.kind else { return Vec::new() };
    let name = RelName::new(&t.schema, &t.name);
    let shape = |label: &str| {
        let mut b = Builder::new(Shape::Cast, name.clone());
        b.text("SELECT ").text(quote::literal(label)).text("::").text(name.sql());
        let ty = crate::op::TypeName {
            name: qname(&name),
            modifiers: Vec::new(),
            array_dims: 0,
            setof: false,
            percent_type: false,
            span: Span::default(),
            text: name.sql(),
        };
        let cast = expr(ExprKind::Cast { expr: Box::new(expr(ExprKind::String(label.into()))), ty });
        b.select(Vec::new(), vec![cast])
    };
    labels.iter().map(|l| shape(&l.value)).collect()
}

fn written_type(cat: &Catalog, text: &str) -> ColumnType {
    let (name, dims) = text.strip_suffix("[]").map_or((text, 0), |n| (n, 1));
    let id = name.split_once('.').and_then(|key| cat.type_names.get(&key)).copied();
    ColumnType { name: name.to_string(), id, modifiers: Vec::new(), array_dims: dims }
}

fn read_all(rel: &Relation, shape: Shape) -> ShapeSql {
    let mut b = Builder::new(shape, rel.rel_name());
    b.text("SELECT * FROM ").text(rel.rel_name().sql());
    b.select(vec![from(rel)], vec![expr(ExprKind::Star(Vec::new()))])
}

fn read_named(rel: &Relation) -> Option<ShapeSql> {
    if rel.columns.is_empty() {
        return None;
    }
    let name = rel.rel_name();
    let mut b = Builder::new(Shape::SelectNamed, name.clone());
    b.text("SELECT ").text(quote::idents(rel.columns.iter().map(|c| &c.name))).text(" FROM ").text(name.sql());
    Some(b.select(vec![from(rel)], rel.columns.iter().map(column).collect()))
}

fn table(cat: &Catalog, rel: &Relation, out: &mut Vec<ShapeSql>) {
    let name = rel.rel_name();
    let key: Vec<String> = query::primary_key(rel).map(<[String]>::to_vec).unwrap_or_default();
    let uniques = unique_keys(cat, rel);
    let keyed: Vec<String> = uniques.iter().flatten().chain(&key).cloned().collect();
    let is_key = |c: &Column| keyed.contains(&c.name);

    out.push(read_all(rel, Shape::SelectStar));
    out.extend(read_named(rel));

    // The row that row-wise statements mean: by primary key, else by another key, else by whatever can be compared.
    let by: Vec<&Column> = [&key].into_iter().chain(&uniques).find(|k| !k.is_empty()).map_or_else(
        || rel.columns.iter().filter(|c| super::operators::comparable(&types::base(cat, &c.ty))).take(1).collect(),
        |k| k.iter().filter_map(|n| rel.column(n)).collect(),
    );
    if !by.is_empty() {
        let mut b = Builder::new(Shape::SelectForUpdate, name.clone());
        b.text("SELECT ").text(quote::idents(by.iter().map(|c| &c.name))).text(" FROM ").text(name.sql());
        let filter = b.find_row(cat, &by);
        b.text(" FOR UPDATE");
        out.push(b.locked(rel, by.iter().map(|c| column(c)).collect(), filter));
    }

    let sent: Vec<&Column> = writable(rel).filter(|c| !made_by_itself(c)).collect();
    let required: Vec<&Column> = writable(rel).filter(|c| must_be_given(cat, c)).collect();
    if !sent.is_empty() {
        out.push(Builder::new(Shape::InsertFull, name.clone()).insert(rel, &sent, true, &is_key, None, false));
    }
    out.push(Builder::new(Shape::InsertMinimal, name.clone()).insert(rel, &required, true, &is_key, None, false));
    let all: Vec<&Column> = rel.columns.iter().collect();
    if !all.is_empty() {
        out.push(Builder::new(Shape::InsertPositional, name.clone()).insert(rel, &all, false, &is_key, None, false));
    }
    out.push(Builder::new(Shape::InsertReturningStar, name.clone()).insert(rel, &required, true, &is_key, None, true));

    let settable: Vec<&Column> = sent.iter().copied().filter(|c| !by.iter().any(|k| k.name == c.name)).collect();
    if !settable.is_empty() && !by.is_empty() {
        out.push(Builder::new(Shape::Update, name.clone()).update(cat, rel, &settable, &by, &is_key, false));
    }
    let nullable: Vec<&Column> = settable.iter().copied().filter(|c| !c.not_null && !domain_not_null(cat, c)).collect();
    if !nullable.is_empty() && !by.is_empty() {
        out.push(Builder::new(Shape::UpdateToNull, name.clone()).update(cat, rel, &nullable, &by, &is_key, true));
    }

    let with = |key: &[String]| -> Vec<&Column> {
        rel.columns.iter().filter(|c| key.contains(&c.name) || required.iter().any(|r| r.name == c.name)).collect()
    };
    let can_give = |key: &[String]| key.iter().all(|n| rel.column(n).is_some_and(|c| writable(rel).any(|w| w.name == c.name)));
    let value_column =
        |key: &[String]| settable.iter().find(|c| !key.contains(&c.name) && !keyed.contains(&c.name)).map(|c| c.name.clone());
    for u in uniques.iter().filter(|u| can_give(u)) {
        let target = On::Columns(u.clone(), value_column(u));
        out.push(Builder::new(Shape::UpsertColumns, name.clone()).insert(
            rel,
            &upsert_columns(rel, with(u), &target),
            true,
            &is_key,
            Some(target),
            false,
        ));
    }
    if !key.is_empty() && can_give(&key) {
        let target = On::Columns(key.clone(), value_column(&key));
        out.push(Builder::new(Shape::UpsertPrimaryKey, name.clone()).insert(
            rel,
            &upsert_columns(rel, with(&key), &target),
            true,
            &is_key,
            Some(target),
            false,
        ));
    }
    for c in &rel.constraints {
        if let ConKind::Unique { columns, .. } | ConKind::PrimaryKey { columns, .. } = &c.kind
            && !c.deferrable
            && can_give(columns)
        {
            let target = On::Constraint(c.name.clone());
            out.push(Builder::new(Shape::UpsertConstraint, name.clone()).insert(rel, &with(columns), true, &is_key, Some(target), false));
        }
    }

    if !by.is_empty() {
        let mut b = Builder::new(Shape::Delete, name.clone());
        b.text("DELETE FROM ").text(name.sql());
        let filter = b.find_row(cat, &by);
        out.push(b.dml(rel, DmlKind::Delete, Some(filter), false));
    }
    for (shape, columns) in [(Shape::CopyColumns, Some(&sent)), (Shape::CopyPositional, None)] {
        if columns.is_some_and(|c| c.is_empty()) {
            continue;
        }
        let mut b = Builder::new(shape, name.clone());
        b.text("COPY ").text(name.sql());
        if let Some(c) = columns {
            b.text(" (").text(quote::idents(c.iter().map(|c| &c.name))).text(")");
        }
        b.text(" FROM STDIN");
        // The data lines are not part of the text; they follow the columns that are sent.
        let lines: Vec<&Column> = match columns {
            Some(c) => c.to_vec(),
            None => rel.columns.iter().filter(|c| c.generated.is_none()).collect(),
        };
        for c in lines {
            b.declare(Some(c.name.clone()), c.ty.clone(), false, is_key(c));
        }
        let names = columns.map_or_else(Vec::new, |c| c.iter().map(|c| self::name(&c.name)).collect());
        out.push(b.finish(OpKind::Copy { table: Some(qname(&name)), columns: names, query: None, from: true, program: false }));
    }
    let mut b = Builder::new(Shape::Truncate, name.clone());
    b.text("TRUNCATE ").text(name.sql());
    out.push(b.finish(OpKind::Truncate { tables: vec![(qname(&name), false)], cascade: false, restart_identity: false }));
}

/// An upsert that updates a column sends it as well.
fn upsert_columns<'r>(rel: &'r Relation, mut columns: Vec<&'r Column>, target: &On) -> Vec<&'r Column> {
    if let On::Columns(_, Some(v)) = target
        && !columns.iter().any(|c| c.name == *v)
    {
        columns.extend(rel.column(v));
    }
    columns
}

/// Unique keys over plain columns that ON CONFLICT can name, the primary key left out.
fn unique_keys(cat: &Catalog, rel: &Relation) -> Vec<Vec<String>> {
    arbiters::indexes_of(cat, rel.id)
        .filter_map(|r| r.index.as_ref())
        .filter(|i| i.unique && i.valid && !i.primary && !i.deferrable && i.filter.is_none() && !i.only)
        .filter_map(|i| i.columns.iter().cloned().collect::<Option<Vec<String>>>())
        .filter(|k| !k.is_empty())
        .collect()
}

/// Columns that a write may give a value to.
fn writable(rel: &Relation) -> impl Iterator<Item = &Column> {
    rel.columns.iter().filter(|c| c.generated.is_none() && !c.identity.as_ref().is_some_and(|i| i.always))
}

/// Keys that the database makes are left to it.
fn made_by_itself(c: &Column) -> bool {
    let generates = |e: &Expr| {
        let mut found = false;
        e.walk(&mut |e| {
            found |= matches!(&e.kind, ExprKind::Call(c) if matches!(c.name.as_str(), "nextval" | "gen_random_uuid" | "uuid_generate_v4" | "uuidv7" | "uuid_generate_v1mc"))
        });
        found
    };
    c.serial.is_some() || c.identity.is_some() || c.default.as_ref().is_some_and(generates)
}

fn must_be_given(cat: &Catalog, c: &Column) -> bool {
    let domain_default =
        matches!(c.ty.id.and_then(|id| cat.types.get(&id)).map(|t| &t.kind), Some(TypeKind::Domain { default: Some(_), .. }));
    (c.not_null || domain_not_null(cat, c)) && c.default.is_none() && !domain_default && !made_by_itself(c) && c.generated.is_none()
}

fn domain_not_null(cat: &Catalog, c: &Column) -> bool {
    c.ty.array_dims == 0
        && matches!(c.ty.id.and_then(|id| cat.types.get(&id)).map(|t| &t.kind), Some(TypeKind::Domain { not_null: true, .. }))
}

enum On {
    /// Key, and the column that DO UPDATE sets.
    Columns(Vec<String>, Option<String>),
    Constraint(String),
}

/// Writes the text and the operation side by side.
struct Builder {
    shape: Shape,
    relation: RelName,
    params: Vec<ShapeParam>,
    pieces: Vec<Piece>,
}

impl Builder {
    fn new(shape: Shape, relation: RelName) -> Self {
        Builder { shape, relation, params: Vec::new(), pieces: Vec::new() }
    }

    fn text(&mut self, t: impl Into<String>) -> &mut Self {
        self.pieces.push(Piece::Text(t.into()));
        self
    }

    fn declare(&mut self, column: Option<String>, ty: ColumnType, finds: bool, key: bool) -> usize {
        self.params.push(ShapeParam { column, ty, finds, key });
        self.params.len() - 1
    }

    fn param(&mut self, column: Option<String>, ty: ColumnType, finds: bool, key: bool) -> Expr {
        let i = self.declare(column, ty, finds, key);
        self.pieces.push(Piece::Param(i));
        expr(ExprKind::Param(param_name(i)))
    }

    /// ` WHERE key = $n AND …`
    ///
    /// A parameter beside an operator takes the type that the domain of its column stands for.
    fn find_row(&mut self, cat: &Catalog, by: &[&Column]) -> Expr {
        let mut filter: Option<Expr> = None;
        for c in by {
            self.text(if filter.is_none() { " WHERE " } else { " AND " }).text(quote::ident(&c.name)).text(" = ");
            let value = self.param(Some(c.name.clone()), types::base(cat, &c.ty), true, true);
            let one = infix("=", column(c), value);
            filter = Some(match filter {
                Some(f) => infix("AND", f, one),
                None => one,
            });
        }
        filter.unwrap_or_else(|| expr(ExprKind::Bool(true)))
    }

    fn insert(
        mut self,
        rel: &Relation,
        columns: &[&Column],
        listed: bool,
        is_key: &dyn Fn(&Column) -> bool,
        on: Option<On>,
        returning: bool,
    ) -> ShapeSql {
        self.text("INSERT INTO ").text(rel.rel_name().sql());
        let mut source = InsertSource::Default;
        if columns.is_empty() {
            self.text(" DEFAULT VALUES");
        } else {
            if listed {
                self.text(" (").text(quote::idents(columns.iter().map(|c| &c.name))).text(")");
            }
            self.text(" VALUES (");
            let mut row = Vec::new();
            for (i, c) in columns.iter().enumerate() {
                self.text(if i > 0 { ", " } else { "" });
                let computed = c.generated.is_some() || c.identity.as_ref().is_some_and(|i| i.always);
                if computed {
                    self.text("DEFAULT");
                    row.push(Expr { text: "DEFAULT".into(), span: Span::default(), kind: ExprKind::Other(Vec::new()) });
                } else {
                    row.push(self.param(Some(c.name.clone()), c.ty.clone(), false, is_key(c)));
                }
            }
            self.text(")");
            source = InsertSource::Query(Box::new(bare_query(QueryBody::Values(vec![row]))));
        }
        let on_conflict = on.map(|on| self.on_conflict(on));
        let names = (listed && !columns.is_empty()).then(|| columns.iter().map(|c| name(&c.name)).collect());
        let kind = DmlKind::Insert { columns: names, source, overriding: false, on_conflict };
        if returning {
            self.text(" RETURNING *");
        }
        self.dml(rel, kind, None, returning)
    }

    fn on_conflict(&mut self, on: On) -> OnConflict {
        self.text(" ON CONFLICT ");
        match on {
            On::Constraint(c) => {
                self.text("ON CONSTRAINT ").text(quote::ident(&c)).text(" DO NOTHING");
                OnConflict { target: ConflictTarget::Constraint(name(&c)), set: Vec::new(), filter: None }
            }
            On::Columns(key, value) => {
                self.text("(").text(quote::idents(&key)).text(") DO ");
                let columns = key.iter().map(|k| expr(ExprKind::Column(vec![name(k)]))).collect();
                let mut set = Vec::new();
                match value {
                    Some(v) => {
                        let q = quote::ident(&v);
                        self.text(format!("UPDATE SET {q} = excluded.{q}"));
                        let excluded = expr(ExprKind::Column(vec![name("excluded"), name(&v)]));
                        set.push(Assignment { columns: vec![name(&v)], value: excluded });
                    }
                    None => {
                        self.text("NOTHING");
                    }
                }
                OnConflict { target: ConflictTarget::Columns(columns, None), set, filter: None }
            }
        }
    }

    fn update(
        mut self,
        cat: &Catalog,
        rel: &Relation,
        set: &[&Column],
        by: &[&Column],
        is_key: &dyn Fn(&Column) -> bool,
        to_null: bool,
    ) -> ShapeSql {
        self.text("UPDATE ").text(rel.rel_name().sql()).text(" SET ");
        let mut assignments = Vec::new();
        for (i, c) in set.iter().enumerate() {
            self.text(if i > 0 { ", " } else { "" }).text(quote::ident(&c.name)).text(" = ");
            let value = if to_null {
                self.text("NULL");
                expr(ExprKind::Null)
            } else {
                self.param(Some(c.name.clone()), c.ty.clone(), false, is_key(c))
            };
            assignments.push(Assignment { columns: vec![name(&c.name)], value });
        }
        let filter = self.find_row(cat, by);
        self.dml(rel, DmlKind::Update { set: assignments }, Some(filter), false)
    }

    fn dml(self, rel: &Relation, kind: DmlKind, filter: Option<Expr>, returning: bool) -> ShapeSql {
        let star = Target { expr: expr(ExprKind::Star(Vec::new())), alias: None };
        let dml = Dml {
            span: Span::default(),
            ctes: Vec::new(),
            kind,
            table: qname(&rel.rel_name()),
            only: false,
            alias: None,
            from: Vec::new(),
            filter,
            returning: if returning { vec![star] } else { Vec::new() },
        };
        self.finish(OpKind::Dml(Box::new(dml)))
    }

    fn select(self, from: Vec<FromItem>, targets: Vec<Expr>) -> ShapeSql {
        let targets = targets.into_iter().map(|expr| Target { expr, alias: None }).collect();
        let body = QueryBody::Select(Box::new(Select { targets, from, ..Select::default() }));
        self.finish(OpKind::Query(Box::new(bare_query(body))))
    }

    fn locked(self, rel: &Relation, targets: Vec<Expr>, filter: Expr) -> ShapeSql {
        let targets = targets.into_iter().map(|expr| Target { expr, alias: None }).collect();
        let select = Select { targets, from: vec![from(rel)], filter: Some(filter), ..Select::default() };
        let mut q = bare_query(QueryBody::Select(Box::new(select)));
        q.locking = Some(RowLock::Update);
        self.finish(OpKind::Query(Box::new(q)))
    }

    fn finish(self, kind: OpKind) -> ShapeSql {
        let op = Op { span: Span::default(), command: 0, conditional: false, nested: false, kind };
        ShapeSql { shape: self.shape, relation: self.relation, params: self.params, op, pieces: self.pieces }
    }
}

fn name(value: &str) -> Name {
    Name::new(value, Span::default())
}

fn qname(r: &RelName) -> QName {
    QName { schema: Some(name(&r.schema)), name: name(&r.name) }
}

fn expr(kind: ExprKind) -> Expr {
    Expr { text: String::new(), span: Span::default(), kind }
}

fn column(c: &Column) -> Expr {
    expr(ExprKind::Column(vec![name(&c.name)]))
}

fn infix(op: &str, left: Expr, right: Expr) -> Expr {
    expr(ExprKind::Binary { op: op.into(), left: Box::new(left), right: Box::new(right) })
}

fn call(function: &str, args: Vec<Expr>) -> Expr {
    expr(ExprKind::Call(Box::new(Call { name: QName::bare(function, Span::default()), args, star: false, window: false })))
}

fn from(rel: &Relation) -> FromItem {
    FromItem::Table { name: qname(&rel.rel_name()), only: false, alias: None, columns: Vec::new(), sample: false }
}

fn bare_query(body: QueryBody) -> Query {
    Query {
        text: String::new(),
        span: Span::default(),
        ctes: Vec::new(),
        body,
        order_by: Vec::new(),
        limit: None,
        offset: None,
        locking: None,
    }
}
