//! Reads a query against the catalog: its output columns, and everything it depends on.

use std::collections::BTreeMap;

use crate::op::{Cte, Dml, DmlKind, Expr, ExprKind, FromItem, InsertSource, Name, OpKindQuery, QName, Query, QueryBody, Select, Target};

use super::apply::{Res, fails};
use super::names::{clip, figure_name};
use super::resolve::is_system_name;
use super::{Catalog, ColumnType, Id, RelKind, Relation};

/// A column of a query's result or of something in FROM.
#[derive(Debug, Clone)]
pub(super) struct OutColumn {
    pub name: String,
    pub ty: ColumnType,
    /// Where it is a bare column of a relation.
    pub base: Option<(Id, String)>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Analyzed {
    pub columns: Vec<OutColumn>,
    pub depends: Vec<(Id, Vec<String>)>,
    pub functions: Vec<Id>,
    pub types: Vec<Id>,
    /// A `*` over something whose columns are not all known: `columns` is not complete.
    pub open: bool,
}

/// One entry of FROM.
#[derive(Debug, Clone)]
struct Source {
    alias: String,
    relation: Option<Id>,
    columns: Vec<OutColumn>,
    /// It may have columns that are not listed.
    open: bool,
}

#[derive(Debug, Clone, Default)]
struct Scope {
    sources: Vec<Source>,
    /// What `*` means, columns joined by USING once and first.
    flat: Vec<OutColumn>,
}

/// The walk over one query and everything in it.
pub(super) struct Analyzer<'a> {
    pub catalog: &'a mut Catalog,
    depends: BTreeMap<Id, Vec<String>>,
    functions: Vec<Id>,
    types: Vec<Id>,
    open: bool,
    scopes: Vec<Scope>,
    ctes: Vec<(String, Vec<OutColumn>, bool)>,
}

impl Catalog {
    /// What the query returns and depends on, or Postgres's error for a relation or column that is not there.
    pub(super) fn analyze(&mut self, q: &Query) -> Res<Analyzed> {
        let mut a = Analyzer::new(self);
        let columns = a.query(q)?;
        Ok(a.finish(columns))
    }

    /// The same for a statement that changes rows.
    pub(super) fn analyze_dml(&mut self, d: &Dml) -> Res<Analyzed> {
        let mut a = Analyzer::new(self);
        let columns = a.dml(d)?;
        Ok(a.finish(columns))
    }

    /// The type of an expression over one relation's columns, as far as it can be told.
    pub fn type_of(&self, e: &Expr, over: Option<Id>) -> ColumnType {
        let mut scratch = self.clone();
        let mut a = Analyzer::new(&mut scratch);
        let mut scope = Scope::default();
        if let Some(source) = over.and_then(|id| a.relation_source(id, None).ok()) {
            scope.flat.clone_from(&source.columns);
            scope.sources.push(source);
        }
        a.scopes.push(scope);
        a.expr(e, false).unwrap_or_else(|_| ColumnType::unknown())
    }
}

impl<'a> Analyzer<'a> {
    fn new(catalog: &'a mut Catalog) -> Self {
        Analyzer {
            catalog,
            depends: BTreeMap::new(),
            functions: Vec::new(),
            types: Vec::new(),
            open: false,
            scopes: Vec::new(),
            ctes: Vec::new(),
        }
    }

    fn finish(mut self, columns: Vec<OutColumn>) -> Analyzed {
        for list in [&mut self.functions, &mut self.types] {
            list.sort_unstable();
            list.dedup();
        }
        Analyzed { columns, depends: self.depends.into_iter().collect(), functions: self.functions, types: self.types, open: self.open }
    }

    fn query(&mut self, q: &Query) -> Res<Vec<OutColumn>> {
        let (scopes, ctes) = (self.scopes.len(), self.ctes.len());
        let out = self.query_inside(q);
        self.scopes.truncate(scopes);
        self.ctes.truncate(ctes);
        out
    }

    fn query_inside(&mut self, q: &Query) -> Res<Vec<OutColumn>> {
        self.with(&q.ctes)?;
        let columns = match &q.body {
            QueryBody::Select(s) => self.select(s)?,
            QueryBody::Values(rows) => {
                let mut columns: Vec<OutColumn> = Vec::new();
                for row in rows {
                    for (i, e) in row.iter().enumerate() {
                        let ty = self.expr(e, true)?;
                        match columns.get_mut(i) {
                            None => columns.push(OutColumn { name: format!("column{}", i + 1), ty, base: None }),
                            Some(c) if c.ty.is_unknown() => c.ty = ty,
                            Some(_) => {}
                        }
                    }
                }
                columns.iter_mut().for_each(literal_is_text);
                columns
            }
            QueryBody::SetOp(l, r) => {
                let left = self.query(l)?;
                let right = self.query(r)?;
                left.into_iter()
                    .enumerate()
                    .map(|(i, mut c)| {
                        c.base = None;
                        if let Some(r) = right.get(i) {
                            c.ty = if c.ty == r.ty {
                                c.ty
                            } else {
                                // Only where both sides are the same domain does it stay one.
                                union_type(&self.catalog.base_type(&c.ty), &self.catalog.base_type(&r.ty))
                            };
                        }
                        c
                    })
                    .collect()
            }
            QueryBody::Table(t) => {
                let s = self.table_source(t, None)?;
                self.read_all(&s);
                self.open |= s.open;
                s.columns
            }
            QueryBody::Dml(d) => self.dml(d)?,
            QueryBody::Other => {
                self.open = true;
                Vec::new()
            }
        };
        // ORDER BY may name output columns, which are no columns of FROM.
        for e in q.order_by.iter().chain(&q.limit).chain(&q.offset) {
            self.expr_leniently(e, &columns);
        }
        Ok(columns)
    }

    fn with(&mut self, ctes: &[Cte]) -> Res<()> {
        for c in ctes {
            let name = clip(c.name.as_str());
            let open_before = std::mem::take(&mut self.open);
            if let OpKindQuery::Query(Query { body: QueryBody::SetOp(first, _), ctes: inner, .. }) = &*c.body
                && c.recursive
                && inner.is_empty()
            {
                // A recursive query names itself in its second part; its columns come from the first.
                let columns = self.query(first)?;
                self.ctes.push((name.clone(), renamed(columns, &c.columns), self.open));
            }
            let columns = match &*c.body {
                OpKindQuery::Query(q) => self.query(q)?,
                OpKindQuery::Dml(d) => self.dml(d)?,
            };
            let open = std::mem::replace(&mut self.open, open_before);
            self.ctes.push((name, renamed(columns, &c.columns), open));
        }
        Ok(())
    }

    pub(super) fn dml(&mut self, d: &Dml) -> Res<Vec<OutColumn>> {
        let (scopes, ctes) = (self.scopes.len(), self.ctes.len());
        let out = self.dml_inside(d);
        self.scopes.truncate(scopes);
        self.ctes.truncate(ctes);
        out
    }

    fn dml_inside(&mut self, d: &Dml) -> Res<Vec<OutColumn>> {
        self.with(&d.ctes)?;
        let target = self.table_source(&d.table, d.alias.as_ref())?;
        let known = target.relation.filter(|_| !target.open);
        match &d.kind {
            DmlKind::Insert { columns, source, .. } => {
                if let InsertSource::Query(q) = source {
                    self.query(q)?;
                }
                for c in columns.iter().flatten() {
                    self.target_column(known, c)?;
                }
            }
            DmlKind::Update { set } => {
                for c in set.iter().flat_map(|a| &a.columns) {
                    self.target_column(known, c)?;
                }
            }
            DmlKind::Delete | DmlKind::Merge { .. } => {}
        }
        let mut scope = Scope { flat: target.columns.clone(), sources: vec![target] };
        if let DmlKind::Insert { .. } = d.kind
            && let Some(mut excluded) = scope.sources.first().cloned()
        {
            excluded.alias = "excluded".to_string();
            scope.sources.push(excluded);
        }
        self.scopes.push(scope);
        for item in &d.from {
            let flat = self.add_from(item)?;
            self.top().flat.extend(flat);
        }
        match &d.kind {
            DmlKind::Update { set } => {
                for a in set {
                    self.expr(&a.value, true)?;
                }
            }
            DmlKind::Insert { on_conflict: Some(c), .. } => {
                for e in c.set.iter().map(|a| &a.value).chain(&c.filter) {
                    self.expr(e, true)?;
                }
            }
            _ => {}
        }
        if let Some(f) = &d.filter {
            self.expr(f, true)?;
        }
        self.targets(&d.returning)
    }

    fn target_column(&self, relation: Option<Id>, column: &Name) -> Res<()> {
        match relation.and_then(|id| self.catalog.relation(id)) {
            Some(rel) if rel.column(&clip(column.as_str())).is_none() && !rel.assumed => {
                Err(super::columns::no_column(&clip(column.as_str()), rel))
            }
            _ => Ok(()),
        }
    }

    fn top(&mut self) -> &mut Scope {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::default());
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    fn select(&mut self, s: &Select) -> Res<Vec<OutColumn>> {
        self.scopes.push(Scope::default());
        for item in &s.from {
            let flat = self.add_from(item)?;
            self.top().flat.extend(flat);
        }
        let columns = self.targets(&s.targets)?;
        for e in s.filter.iter().chain(&s.having) {
            self.expr(e, true)?;
        }
        for e in s.group_by.iter().chain(&s.distinct_on).chain(&s.windows) {
            self.expr_leniently(e, &columns);
        }
        Ok(columns)
    }

    fn targets(&mut self, targets: &[Target]) -> Res<Vec<OutColumn>> {
        let mut out = Vec::new();
        for t in targets {
            if let ExprKind::Star(parts) = &t.expr.kind {
                self.star(parts, &mut out)?;
                continue;
            }
            let ty = self.expr(&t.expr, true)?;
            let name =
                t.alias.as_ref().map(|a| clip(a.as_str())).or_else(|| figure_name(&t.expr)).unwrap_or_else(|| "?column?".to_string());
            let base = match &t.expr.kind {
                ExprKind::Column(parts) => self.find(parts).and_then(|c| c.base),
                _ => None,
            };
            let mut c = OutColumn { name, ty, base };
            if matches!(t.expr.kind, ExprKind::String(_) | ExprKind::Null) {
                literal_is_text(&mut c);
                c.ty = ColumnType::builtin("text");
            }
            out.push(c);
        }
        Ok(out)
    }

    fn star(&mut self, parts: &[Name], out: &mut Vec<OutColumn>) -> Res<()> {
        let Some(name) = parts.last() else {
            let Some(scope) = self.scopes.last().cloned() else { return Ok(()) };
            for s in &scope.sources {
                self.read_all(s);
                self.open |= s.open;
            }
            out.extend(scope.flat);
            return Ok(());
        };
        let alias = clip(name.as_str());
        let found = self.scopes.iter().rev().find_map(|sc| sc.sources.iter().find(|s| s.alias == alias)).cloned();
        match found {
            Some(s) => {
                self.read_all(&s);
                self.open |= s.open;
                out.extend(s.columns);
                Ok(())
            }
            None => {
                // `(composite).*` comes here too.
                self.open = true;
                Ok(())
            }
        }
    }

    fn read_all(&mut self, s: &Source) {
        if let Some(id) = s.relation {
            for c in &s.columns {
                if let Some((_, column)) = &c.base {
                    self.read(id, column);
                }
            }
        }
    }

    fn read(&mut self, id: Id, column: &str) {
        let columns = self.depends.entry(id).or_default();
        if !columns.iter().any(|c| c == column) {
            columns.push(column.to_string());
        }
    }

    /// Adds the item to the innermost scope and says what `*` shows of it.
    fn add_from(&mut self, item: &FromItem) -> Res<Vec<OutColumn>> {
        match item {
            FromItem::Table { name, alias, columns, .. } => {
                let mut s = self.table_source(name, alias.as_ref())?;
                rename_columns(&mut s.columns, columns);
                let flat = s.columns.clone();
                self.top().sources.push(s);
                Ok(flat)
            }
            FromItem::Query { query, alias, columns, lateral } => {
                // Only LATERAL sees its neighbours.
                let hidden = if *lateral { None } else { self.scopes.pop() };
                let before = std::mem::take(&mut self.open);
                let found = self.query(query);
                let open = std::mem::replace(&mut self.open, before);
                if let Some(scope) = hidden {
                    self.scopes.push(scope);
                }
                let mut found = found?;
                found.iter_mut().for_each(|c| c.base = None);
                rename_columns(&mut found, columns);
                let alias = alias.as_ref().map(|a| clip(a.as_str())).unwrap_or_default();
                self.top().sources.push(Source { alias, relation: None, columns: found.clone(), open });
                Ok(found)
            }
            FromItem::Function { call, alias, columns } => {
                let ty = self.expr(call, true)?;
                let function = figure_name(call).unwrap_or_default();
                let alias = alias.as_ref().map_or(function, |a| clip(a.as_str()));
                let mut found = vec![OutColumn { name: alias.clone(), ty, base: None }];
                let mut open = true;
                if !columns.is_empty() {
                    found = columns.iter().map(|n| OutColumn { name: clip(n.as_str()), ty: ColumnType::unknown(), base: None }).collect();
                    open = false;
                } else if let Some(table) = self.table_function(call) {
                    found = table;
                    open = false;
                }
                self.top().sources.push(Source { alias, relation: None, columns: found.clone(), open });
                Ok(found)
            }
            FromItem::Join { left, right, natural, using, on } => {
                let l = self.add_from(left)?;
                let r = self.add_from(right)?;
                let shared: Vec<String> = if *natural {
                    l.iter().filter(|c| r.iter().any(|o| o.name == c.name)).map(|c| c.name.clone()).collect()
                } else {
                    using.iter().map(|n| clip(n.as_str())).collect()
                };
                for c in l.iter().chain(&r).filter(|c| shared.contains(&c.name)) {
                    if let Some((id, column)) = &c.base {
                        self.read(*id, column);
                    }
                }
                let mut flat: Vec<OutColumn> = shared.iter().filter_map(|n| l.iter().find(|c| c.name == *n).cloned()).collect();
                flat.extend(l.into_iter().filter(|c| !shared.contains(&c.name)));
                flat.extend(r.into_iter().filter(|c| !shared.contains(&c.name)));
                if let Some(on) = on {
                    self.expr(on, true)?;
                }
                Ok(flat)
            }
            FromItem::Other => {
                self.top().sources.push(Source { alias: String::new(), relation: None, columns: Vec::new(), open: true });
                Ok(Vec::new())
            }
        }
    }

    /// Columns of RETURNS TABLE and of functions that return rows of a relation.
    fn table_function(&mut self, call: &Expr) -> Option<Vec<OutColumn>> {
        let ExprKind::Call(c) = &call.kind else { return None };
        let id = *self.catalog.candidates(c).first()?;
        let f = self.catalog.functions.get(&id)?.clone();
        if !f.def.returns_table.is_empty() {
            return Some(
                f.def
                    .returns_table
                    .iter()
                    .map(|(n, t)| OutColumn { name: clip(n.as_str()), ty: self.catalog.resolve_type(t), base: None })
                    .collect(),
            );
        }
        let returned = self.catalog.resolve_type(f.def.returns.as_ref()?).id?;
        let rel = self.catalog.relation(returned).filter(|r| !r.assumed)?;
        Some(rel.columns.iter().map(|c| OutColumn { name: c.name.clone(), ty: c.ty.clone(), base: None }).collect())
    }

    fn table_source(&mut self, name: &QName, alias: Option<&Name>) -> Res<Source> {
        if name.schema.is_none()
            && let Some((n, columns, open)) = self.ctes.iter().rev().find(|(n, ..)| n == name.as_str()).cloned()
        {
            let alias = alias.map_or(n, |a| clip(a.as_str()));
            return Ok(Source { alias, relation: None, columns, open });
        }
        if let Some(id) = self.catalog.resolve(name) {
            return self.relation_source(id, alias);
        }
        let e = self.catalog.no_relation(name);
        if e.certain && self.catalog.complete {
            return Err(e);
        }
        if !self.catalog.complete && !is_system_name(name) {
            let id = self.catalog.need_relation(name)?;
            return self.relation_source(id, alias);
        }
        let alias = clip(alias.unwrap_or(&name.name).as_str());
        Ok(Source { alias, relation: None, columns: Vec::new(), open: true })
    }

    fn relation_source(&mut self, id: Id, alias: Option<&Name>) -> Res<Source> {
        self.depends.entry(id).or_default();
        let Some(rel) = self.catalog.relation(id) else {
            return Ok(Source { alias: String::new(), relation: None, columns: Vec::new(), open: true });
        };
        rows_are_read_of(rel)?;
        let columns =
            rel.columns.iter().map(|c| OutColumn { name: c.name.clone(), ty: c.ty.clone(), base: Some((id, c.name.clone())) }).collect();
        Ok(Source { alias: alias.map_or_else(|| rel.name.clone(), |a| clip(a.as_str())), relation: Some(id), columns, open: rel.assumed })
    }

    /// Expressions where output columns may be named.
    fn expr_leniently(&mut self, e: &Expr, output: &[OutColumn]) {
        if let ExprKind::Column(parts) = &e.kind
            && parts.len() == 1
            && output.iter().any(|c| c.name == parts[0].as_str())
        {
            return;
        }
        let _ = self.expr(e, false);
    }

    fn find(&self, parts: &[Name]) -> Option<OutColumn> {
        let last = clip(parts.last()?.as_str());
        let qualifier = parts.len().checked_sub(2).and_then(|i| parts.get(i)).map(|n| clip(n.as_str()));
        for scope in self.scopes.iter().rev() {
            let found = match &qualifier {
                Some(q) => scope.sources.iter().filter(|s| s.alias == *q).find_map(|s| s.columns.iter().find(|c| c.name == last)),
                None => scope.flat.iter().chain(scope.sources.iter().flat_map(|s| &s.columns)).find(|c| c.name == last),
            };
            if let Some(c) = found {
                return Some(c.clone());
            }
        }
        None
    }

    /// Reads a column reference: notes the dependency, or says that there is none such.
    fn column(&mut self, parts: &[Name], strict: bool) -> Res<ColumnType> {
        if let Some(c) = self.find(parts) {
            if let Some((id, column)) = &c.base {
                self.read(*id, column);
            }
            return Ok(c.ty);
        }
        // `(t.composite).field` and `alias` as a whole row.
        let names: Vec<String> = parts.iter().map(|p| clip(p.as_str())).collect();
        for scope in self.scopes.clone().iter().rev() {
            if let Some(s) = scope.sources.iter().find(|s| names.len() == 1 && s.alias == names[0]) {
                self.read_all(s);
                return Ok(ColumnType::unknown());
            }
            if names.len() > 1 && scope.flat.iter().any(|c| names.contains(&c.name)) {
                return Ok(ColumnType::unknown());
            }
        }
        let system = matches!(names.last().map(String::as_str), Some("ctid" | "xmin" | "xmax" | "cmin" | "cmax" | "tableoid" | "oid"));
        let open = self.scopes.iter().flat_map(|s| &s.sources).any(|s| s.open);
        if !strict || open || system || self.scopes.iter().all(|s| s.sources.is_empty()) {
            self.note_on_assumed(&names);
            return Ok(ColumnType::unknown());
        }
        let Some(last) = names.last() else { return Ok(ColumnType::unknown()) };
        if names.len() > 1 {
            let known = self.scopes.iter().flat_map(|s| &s.sources).any(|s| s.alias == names[names.len() - 2]);
            if !known {
                let table = &names[names.len() - 2];
                return Err(fails("42P01", format!("missing FROM-clause entry for table \"{table}\"")).maybe());
            }
            return Err(fails("42703", format!("column {}.{last} does not exist", names[names.len() - 2])));
        }
        Err(fails("42703", format!("column \"{last}\" does not exist")))
    }

    /// A column that a statement reads of a made-up table is one that it has.
    fn note_on_assumed(&mut self, names: &[String]) {
        let Some(scope) = self.scopes.last() else { return };
        let mut open = scope.sources.iter().filter(|s| s.open && (names.len() < 2 || s.alias == names[names.len() - 2]));
        let (Some(only), None) = (open.next(), open.next()) else { return };
        let (Some(id), Some(column)) = (only.relation, names.last()) else { return };
        let name = super::partitions::made_up(column);
        if self.catalog.need_column(id, &name).is_ok() {
            self.read(id, column);
        }
    }

    pub(super) fn expr(&mut self, e: &Expr, strict: bool) -> Res<ColumnType> {
        match &e.kind {
            ExprKind::Column(parts) => self.column(parts, strict),
            ExprKind::Star(parts) => {
                if let Some(name) = parts.last() {
                    let alias = clip(name.as_str());
                    let found = self.scopes.iter().rev().find_map(|sc| sc.sources.iter().find(|s| s.alias == alias)).cloned();
                    if let Some(s) = found {
                        self.read_all(&s);
                    }
                }
                Ok(ColumnType::unknown())
            }
            ExprKind::Subquery(q) => {
                let before = self.open;
                let columns = self.query(q)?;
                self.open = before;
                Ok(super::infer::subquery_type(e, columns.first().map(|c| &c.ty)))
            }
            ExprKind::Call(c) => {
                let mut args = Vec::new();
                for a in &c.args {
                    args.push(self.expr(a, strict)?);
                }
                let mut uses = Vec::new();
                self.catalog.use_here(e, &mut uses);
                for id in uses {
                    // A sequence named in a call is a relation that the query reads.
                    if self.catalog.relations.contains_key(&id) {
                        self.depends.entry(id).or_default();
                    } else {
                        self.functions.push(id);
                    }
                }
                Ok(self.catalog.call_type(c, &args))
            }
            ExprKind::Cast { expr, ty } => {
                let from = self.expr(expr, strict)?;
                let ty = self.catalog.resolve_type(ty);
                // What operators and functions give is not always told right.
                if strict && matches!(expr.kind, ExprKind::Column(_) | ExprKind::Cast { .. }) {
                    super::casts::refuse_cast(self.catalog, &from, &ty)?;
                }
                self.types.extend(ty.id);
                Ok(ty)
            }
            ExprKind::Binary { op, left, right } => {
                let l = self.expr(left, strict)?;
                let r = self.expr(right, strict)?;
                Ok(super::infer::operator_type(op, &l, &r))
            }
            ExprKind::Unary { op, expr } => {
                let t = self.expr(expr, strict)?;
                Ok(if op.eq_ignore_ascii_case("not") { ColumnType::builtin("boolean") } else { t })
            }
            ExprKind::IsNull { expr, .. } => {
                self.expr(expr, strict)?;
                Ok(ColumnType::builtin("boolean"))
            }
            ExprKind::Collate { expr, .. } => self.expr(expr, strict),
            ExprKind::Array(v) | ExprKind::Row(v) | ExprKind::Case(v) | ExprKind::Other(v) => {
                let mut types = Vec::new();
                for x in v {
                    types.push(self.expr(x, strict)?);
                }
                Ok(super::infer::compound_type(e, v, &types))
            }
            _ => Ok(super::infer::literal_type(e)),
        }
    }
}

fn renamed(mut columns: Vec<OutColumn>, names: &[Name]) -> Vec<OutColumn> {
    columns.iter_mut().for_each(|c| c.base = None);
    rename_columns(&mut columns, names);
    columns
}

fn rename_columns(columns: &mut [OutColumn], names: &[Name]) {
    for (c, n) in columns.iter_mut().zip(names) {
        c.name = clip(n.as_str());
    }
}

fn literal_is_text(c: &mut OutColumn) {
    if c.ty.name == "unknown literal" {
        c.ty = ColumnType::builtin("text");
    }
}

fn union_type(a: &ColumnType, b: &ColumnType) -> ColumnType {
    if a == b || b.is_unknown() {
        return a.clone();
    }
    if a.is_unknown() {
        return b.clone();
    }
    if a.name == b.name {
        // Different modifiers are dropped.
        return ColumnType { modifiers: Vec::new(), ..a.clone() };
    }
    super::infer::wider(a, b).unwrap_or_else(|| a.clone())
}

/// Indexes and composite types have no rows to be read.
pub(super) fn rows_are_read_of(rel: &Relation) -> Res<()> {
    if (rel.kind.is_index() || rel.kind == RelKind::Composite) && !rel.assumed {
        return Err(fails("42809", format!("cannot open relation \"{}\"", rel.name)));
    }
    Ok(())
}
