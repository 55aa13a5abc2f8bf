//! SELECT, VALUES, set operations, FROM: names, stars, joins, grouping, result columns.

use crate::catalog::{RelKind, Relation};
use crate::op::{Expr, ExprKind, FromItem, Name, OpKindQuery, QName, Query, QueryBody, Select, Target};

use super::expr::Binder;
use super::names;
use super::outcome::{Bound, Fail, OutColumn, RowTypeUse};
use super::scope::{self, Item, Scope, ScopeColumn, Scopes};
use super::types::{self, Typed};
use super::{builtins, functions, operators};

impl Binder<'_, '_> {
    /// The query's result columns; `None` where they cannot be told.
    pub fn query(&mut self, outer: &Scopes<'_>, q: &Query) -> Bound<Option<Vec<OutColumn>>> {
        let depth = self.ctes.len();
        let out = self.with_ctes(outer, q);
        self.ctes.truncate(depth);
        out
    }

    fn with_ctes(&mut self, outer: &Scopes<'_>, q: &Query) -> Bound<Option<Vec<OutColumn>>> {
        self.bind_ctes(outer, &q.ctes)?;
        let mut inner_scope = None;
        let out = match &q.body {
            QueryBody::Select(s) => {
                let (columns, scope) = self.select(outer, s, q.locking.is_some())?;
                inner_scope = Some(scope);
                columns
            }
            QueryBody::Values(rows) => self.values(outer, rows)?,
            QueryBody::SetOp(l, r) => {
                let (l, r) = (self.query(outer, l)?, self.query(outer, r)?);
                self.set_operation(l, r)?
            }
            QueryBody::Table(name) => {
                let item = self.table_item(name, None, &[])?;
                let mut scope = Scope::default();
                scope.push(item);
                Some(self.star(&[&scope], &scope.visible.clone()))
            }
            QueryBody::Dml(d) => self.dml(outer, d)?,
            QueryBody::Other => {
                self.opaque = true;
                None
            }
        };
        if let Some(scope) = &inner_scope {
            let mut scopes = outer.to_vec();
            scopes.push(scope);
            for e in &q.order_by {
                self.order_by(&scopes, e, out.as_deref())?;
            }
        }
        for e in q.limit.iter().chain(&q.offset) {
            self.expr(outer, e)?;
        }
        Ok(out)
    }

    pub fn bind_ctes(&mut self, outer: &Scopes<'_>, ctes: &[crate::op::Cte]) -> Bound<()> {
        for c in ctes {
            // A recursive query sees itself; its columns are not known then. A plain one sees a table of that name.
            let depth = self.ctes.len();
            if c.recursive {
                self.ctes.push((c.name.value.clone(), Vec::new()));
            }
            let columns = match &*c.body {
                OpKindQuery::Query(q) => self.query(outer, q)?,
                OpKindQuery::Dml(d) => self.dml(outer, d)?,
            };
            self.ctes.truncate(depth);
            let columns = columns.unwrap_or_default().into_iter().enumerate().map(|(i, o)| ScopeColumn {
                name: c.columns.get(i).map_or(o.name, |n| n.value.clone()),
                ty: o.ty,
                collation: o.collation,
                source: None,
                item: 0,
            });
            let columns = columns.collect();
            self.ctes.push((c.name.value.clone(), columns));
        }
        Ok(())
    }

    fn order_by(&mut self, scopes: &Scopes<'_>, e: &Expr, out: Option<&[OutColumn]>) -> Bound<()> {
        match &e.kind {
            ExprKind::Number(n) => {
                let (n, have) = (n.parse::<usize>().unwrap_or(0), out.map_or(usize::MAX, <[_]>::len));
                if n == 0 || n > have { Err(Fail::new("42P10", n.to_string())) } else { Ok(()) }
            }
            // An output column of that name comes first.
            ExprKind::Column(parts) if parts.len() == 1 && out.is_some_and(|o| o.iter().any(|c| c.name == parts[0].value)) => Ok(()),
            _ => self.expr(scopes, e).map(|_| ()),
        }
    }

    /// Rows can be locked of tables, and of views that show rows one by one.
    fn lockable(&mut self, id: crate::catalog::Id) {
        let Some(rel) = self.s.get(id) else { return };
        let refused = match (rel.kind, &rel.view) {
            (RelKind::MaterializedView | RelKind::Sequence, _) => Some("42809"),
            (RelKind::View, Some(v)) => match &v.query.body {
                QueryBody::SetOp(..) => Some("0A000"),
                QueryBody::Select(s) => {
                    let mut gathers = s.distinct || !s.group_by.is_empty() || s.having.is_some();
                    for t in &s.targets {
                        t.expr.walk(&mut |e| {
                            if let ExprKind::Call(c) = &e.kind {
                                gathers |= c.star || c.window || matches!(c.name.as_str(), "count" | "sum" | "avg" | "min" | "max");
                            }
                        });
                    }
                    gathers.then_some("0A000")
                }
                _ => None,
            },
            _ => None,
        };
        let (name, view) = (rel.name.clone(), rel.view.clone().filter(|_| rel.kind == RelKind::View));
        if let Some(state) = refused {
            return self.plan.push(Fail::new(state, name));
        }
        view.iter().flat_map(|v| &v.depends).for_each(|(below, _)| self.lockable(*below));
    }

    fn select(&mut self, outer: &Scopes<'_>, s: &Select, locking: bool) -> Bound<(Option<Vec<OutColumn>>, Scope)> {
        let mut scope = Scope::default();
        for f in &s.from {
            let side = self.from_item(outer, &scope, f)?;
            scope = scope.beside(side);
        }
        duplicate_alias(&scope)?;
        if locking {
            for i in &scope.items {
                if let Some(r) = i.relation {
                    self.need(r, "UPDATE", None);
                    self.lockable(r);
                }
            }
        }
        let mut scopes = outer.to_vec();
        scopes.push(&scope);
        let mut out = Some(Vec::new());
        for t in &s.targets {
            self.target(&scopes, t, &mut out)?;
        }
        if let Some(e) = &s.filter {
            self.condition(&scopes, e)?;
        }
        let mut grouped = Vec::new();
        for e in &s.group_by {
            match &e.kind {
                ExprKind::Number(n) => {
                    let picked = n.parse::<usize>().ok().and_then(|n| s.targets.get(n.wrapping_sub(1)));
                    grouped.extend(picked.map(|t| &t.expr));
                }
                ExprKind::Column(p) if p.len() == 1 && !scope.visible.iter().any(|c| c.name == p[0].value) => {
                    match s
                        .targets
                        .iter()
                        .find(|t| t.alias.as_ref() == p.first() || t.alias.as_ref().is_some_and(|a| a.value == p[0].value))
                    {
                        Some(t) => grouped.push(&t.expr),
                        None => {
                            self.expr(&scopes, e)?;
                        }
                    }
                }
                _ => {
                    self.expr(&scopes, e)?;
                    grouped.push(e);
                }
            }
        }
        if let Some(e) = &s.having {
            self.condition(&scopes, e)?;
        }
        self.check_grouping(&scopes, s, &grouped)?;
        for e in s.distinct_on.iter().chain(&s.windows) {
            self.order_by(&scopes, e, out.as_deref())?;
        }
        // Without any column named, a table still wants one readable column.
        for i in scope.items.iter().filter(|i| i.needs_select) {
            if let Some(r) = i.relation {
                self.need(r, "SELECT", None);
            }
        }
        if scope.open {
            self.opaque = true;
        }
        Ok((out, scope))
    }

    /// A column outside GROUP BY must depend on the grouping through its table's primary key: 42803.
    fn check_grouping(&mut self, scopes: &Scopes<'_>, s: &Select, grouped: &[&Expr]) -> Bound<()> {
        let aggregated = |e: &Expr| {
            let mut found = false;
            e.walk(&mut |e| found |= matches!(&e.kind, ExprKind::Call(c) if !c.window && builtins::is_aggregate(c.name.as_str())));
            found
        };
        if s.group_by.is_empty() && !s.targets.iter().any(|t| aggregated(&t.expr)) && s.having.is_none() {
            return Ok(());
        }
        let complex = s.group_by.iter().any(|e| !matches!(e.kind, ExprKind::Column(_) | ExprKind::Number(_)));
        if complex {
            return Ok(());
        }
        let mut keys: Vec<(usize, String)> = Vec::new();
        for g in grouped {
            if let ExprKind::Column(parts) = &g.kind
                && let Ok((scope::Found::Column(c), depth)) = scope::find(scopes, parts)
                && depth + 1 == scopes.len()
            {
                keys.push((c.item, c.source.map_or(c.name, |s| s.1)));
            }
        }
        let mut bare = Vec::new();
        s.targets.iter().for_each(|t| bare_columns(&t.expr, grouped, &mut bare));
        for parts in bare {
            let Ok((scope::Found::Column(c), depth)) = scope::find(scopes, parts) else { continue };
            if depth + 1 != scopes.len() {
                continue;
            }
            let name = c.source.as_ref().map_or(&c.name, |s| &s.1);
            if keys.iter().any(|(i, k)| *i == c.item && k == name) {
                continue;
            }
            let by_key = c
                .source
                .as_ref()
                .and_then(|(r, _)| self.s.get(*r))
                .and_then(|r| primary_key(r))
                .is_some_and(|pk| pk.iter().all(|k| keys.iter().any(|(i, g)| *i == c.item && g == k)));
            if !by_key {
                return Err(Fail::new("42803", c.name));
            }
        }
        Ok(())
    }

    pub fn target(&mut self, scopes: &Scopes<'_>, t: &Target, out: &mut Option<Vec<OutColumn>>) -> Bound<()> {
        if let ExprKind::Star(parts) = &t.expr.kind {
            let Some(here) = scopes.last() else { return Ok(()) };
            let columns = if parts.is_empty() {
                if here.open {
                    *out = None;
                }
                here.visible.clone()
            } else {
                match scope::item(scopes, parts) {
                    Some((d, i)) => {
                        let item = &scopes[d].items[i];
                        if item.open {
                            *out = None;
                        }
                        item.columns.clone()
                    }
                    None if scopes.iter().any(|s| s.open) => {
                        *out = None;
                        return Ok(());
                    }
                    None => return Err(Fail::new("42P01", parts.last().map_or("", Name::as_str))),
                }
            };
            let expanded = self.star(scopes, &columns);
            out.iter_mut().for_each(|o| o.extend(expanded.clone()));
            return Ok(());
        }
        let (ty, collation) = match &t.expr.kind {
            ExprKind::Column(parts) => self.column(scopes, parts)?,
            ExprKind::Collate { expr, collation } => (self.expr(scopes, expr)?, Some(collation.as_str().to_string())),
            _ => (self.expr(scopes, &t.expr)?, None),
        };
        let name = t.alias.as_ref().map_or_else(|| column_name(&t.expr), |a| a.value.clone());
        let ty = match ty {
            Typed::Is(t) => Some(t),
            // An untyped literal becomes text, or what INSERT … SELECT needs: not decided here.
            _ => None,
        };
        out.iter_mut().for_each(|o| o.push(OutColumn { name: name.clone(), ty: ty.clone(), collation: collation.clone() }));
        Ok(())
    }

    /// Expands a star: every column is read.
    fn star(&mut self, scopes: &Scopes<'_>, columns: &[ScopeColumn]) -> Vec<OutColumn> {
        let here = scopes.last();
        for c in columns {
            let item = here.and_then(|s| s.items.get(c.item));
            self.touch(item, c);
        }
        columns.iter().map(|c| OutColumn { name: c.name.clone(), ty: c.ty.clone(), collation: c.collation.clone() }).collect()
    }

    /// A column is used: for the permission check, and for row types that plans do not watch.
    pub fn touch(&mut self, item: Option<&Item>, c: &ScopeColumn) {
        let Some((rel, col)) = &c.source else { return };
        match item {
            Some(i) if !i.needs_select && i.relation.is_none() => {
                let Some(column) = self.s.get(*rel).and_then(|r| r.column(col)) else { return };
                let used = (column.attnum, column.ty.clone());
                match self.row_types.iter_mut().find(|u| u.relation == *rel) {
                    Some(u) => u.columns.push(used),
                    None => self.row_types.push(RowTypeUse { relation: *rel, columns: vec![used] }),
                }
            }
            Some(i) if !i.needs_select => {}
            _ => self.need(*rel, "SELECT", Some(col)),
        }
    }

    fn values(&mut self, outer: &Scopes<'_>, rows: &[Vec<Expr>]) -> Bound<Option<Vec<OutColumn>>> {
        let width = rows.first().map_or(0, Vec::len);
        let mut all = vec![Typed::Literal(None); width];
        for row in rows {
            if row.len() != width {
                return Err(Fail::bare("42601"));
            }
            for (i, e) in row.iter().enumerate() {
                let t = self.expr(outer, e)?;
                all[i] = types::common(self.s.cat, &all[i], &t).map_err(|()| Fail::bare("42804"))?;
            }
        }
        let column = |(i, t): (usize, Typed)| OutColumn { name: format!("column{}", i + 1), ty: t.ty().cloned(), collation: None };
        Ok(Some(all.into_iter().enumerate().map(column).collect()))
    }

    fn set_operation(&mut self, l: Option<Vec<OutColumn>>, r: Option<Vec<OutColumn>>) -> Bound<Option<Vec<OutColumn>>> {
        let (Some(l), Some(r)) = (l, r) else { return Ok(None) };
        if l.len() != r.len() {
            return Err(Fail::bare("42601"));
        }
        let mut out = Vec::with_capacity(l.len());
        for (a, b) in l.into_iter().zip(r) {
            let ty =
                types::common(self.s.cat, &Typed::maybe(a.ty), &Typed::maybe(b.ty)).map_err(|()| Fail::new("42804", a.name.clone()))?;
            let collation = a.collation.filter(|c| Some(c) == b.collation.as_ref());
            out.push(OutColumn { name: a.name, ty: ty.ty().cloned(), collation });
        }
        Ok(Some(out))
    }

    /// One item of FROM. `left` is what stands before it (LATERAL and functions see it).
    pub fn from_item(&mut self, outer: &Scopes<'_>, left: &Scope, f: &FromItem) -> Bound<Scope> {
        let mut scope = Scope::default();
        match f {
            FromItem::Table { name, alias, columns, .. } => scope.push(self.table_item(name, alias.as_ref(), columns)?),
            FromItem::Query { query, alias, columns, lateral } => {
                let mut scopes = outer.to_vec();
                if *lateral {
                    scopes.push(left);
                }
                let found = self.query(&scopes, query)?;
                let open = found.is_none();
                let columns = found.unwrap_or_default().into_iter().enumerate().map(|(i, o)| ScopeColumn {
                    name: columns.get(i).map_or(o.name, |n| n.value.clone()),
                    ty: o.ty,
                    collation: o.collation,
                    source: None,
                    item: 0,
                });
                scope.push(derived(alias.as_ref().map_or("", Name::as_str), columns.collect(), open));
            }
            FromItem::Function { call, alias, columns } => {
                let mut scopes = outer.to_vec();
                scopes.push(left);
                scope.push(self.function_item(&scopes, call, alias.as_ref(), columns)?);
            }
            FromItem::Join { left: l, right: r, natural, using, on } => {
                let left_side = self.from_item(outer, left, l)?;
                let seen = left.clone().beside(left_side.clone());
                let right_side = self.from_item(outer, &seen, r)?;
                scope = self.join(left_side, right_side, *natural, using)?;
                if let Some(on) = on {
                    let mut scopes = outer.to_vec();
                    // Other items of the same FROM are not visible to ON, except to LATERAL ones.
                    scopes.push(&scope);
                    self.condition(&scopes, on)?;
                }
            }
            FromItem::Other => {
                scope.open = true;
                self.opaque = true;
            }
        }
        Ok(scope)
    }

    fn join(&mut self, l: Scope, r: Scope, natural: bool, using: &[Name]) -> Bound<Scope> {
        let open = l.open || r.open;
        let names: Vec<String> = if natural {
            let mut shared = Vec::new();
            for c in &l.visible {
                if !shared.contains(&c.name) && r.visible.iter().any(|d| d.name == c.name) {
                    shared.push(c.name.clone());
                }
            }
            shared
        } else {
            using.iter().map(|n| n.value.clone()).collect()
        };
        let (left_visible, right_visible) = (l.visible.clone(), r.visible.clone());
        let shift = l.items.len();
        let mut both = l.beside(r);
        if names.is_empty() {
            return Ok(both);
        }
        let mut merged = Vec::new();
        for n in &names {
            let one = |side: &[ScopeColumn]| -> Bound<Option<ScopeColumn>> {
                let mut hits = side.iter().filter(|c| c.name == *n);
                match (hits.next(), hits.next()) {
                    (Some(c), None) => Ok(Some(c.clone())),
                    (Some(_), Some(_)) => Err(Fail::new("42702", n.clone())),
                    _ if open => Ok(None),
                    _ => Err(Fail::new("42703", n.clone())),
                }
            };
            let (Some(a), Some(mut b)) = (one(&left_visible)?, one(&right_visible)?) else { continue };
            b.item += shift;
            let (ta, tb) = (Typed::maybe(a.ty.clone()), Typed::maybe(b.ty.clone()));
            types::common(self.s.cat, &ta, &tb).map_err(|()| Fail::new("42804", n.clone()))?;
            operators::binary(self.s.cat, "=", &ta, &tb)?;
            for c in [&a, &b] {
                let item = both.items.get(c.item).cloned();
                self.touch(item.as_ref(), c);
            }
            merged.push(a);
        }
        let rest: Vec<ScopeColumn> = both.visible.iter().filter(|c| !names.contains(&c.name)).cloned().collect();
        both.visible = merged.into_iter().chain(rest).collect();
        Ok(both)
    }

    /// A table, a view or a CTE in FROM.
    pub fn table_item(&mut self, name: &QName, alias: Option<&Name>, renamed: &[Name]) -> Bound<Item> {
        if name.schema.is_none()
            && let Some((_, columns)) = self.ctes.iter().rev().find(|(n, _)| n == name.as_str())
        {
            let mut columns = columns.clone();
            columns.iter_mut().zip(renamed).for_each(|(c, n)| c.name.clone_from(&n.value));
            let open = columns.is_empty();
            return Ok(derived(alias.map_or(name.as_str(), Name::as_str), columns, open));
        }
        let rel = match self.s.relation(name) {
            Ok(rel) => rel,
            Err(f) if f.state == names::UNKNOWN || (f.state == "42P01" && !self.s.cat.complete) => {
                self.opaque = true;
                return Ok(derived(alias.map_or(name.as_str(), Name::as_str), Vec::new(), true));
            }
            Err(f) => return Err(f),
        };
        if !names::is_table_like(rel.kind) {
            return Err(Fail::new("42809", rel.name.clone()));
        }
        self.read(rel);
        let mut item = Item::of_relation(rel, alias, renamed);
        if rel.kind == RelKind::Sequence {
            item.open = true;
        }
        Ok(item)
    }

    /// Notes that a relation is read, and what a view reads in turn.
    pub fn read(&mut self, rel: &Relation) {
        if let Some(empty) = self.s.cat.unpopulated(vec![rel.id]) {
            self.run.push(Fail::new("55000", empty.name.clone()));
        }
        if let Some(view) = self.s.cat.recursive_view(&[rel.id]) {
            self.plan.push(Fail::new("42P17", view.name.clone()));
            return;
        }
        self.relations.push(rel.id);
        match &rel.view {
            Some(v) if rel.kind == RelKind::View => {
                let invoker = self.s.pg.0 >= 15 && option_is_on(&rel.options, "security_invoker");
                let outer = self.behalf.clone();
                if !invoker {
                    self.behalf = Some(rel.owner.clone());
                }
                for (id, columns) in &v.depends {
                    let Some(base) = self.s.get(*id) else { continue };
                    if !names::is_table_like(base.kind) || self.entered.len() > 32 {
                        continue;
                    }
                    self.need(*id, "SELECT", None);
                    for c in columns.iter().filter(|c| base.column(c).is_some()) {
                        self.need(*id, "SELECT", Some(c));
                    }
                    self.entered.push(*id);
                    self.read(base);
                    self.entered.pop();
                }
                self.behalf = outer;
            }
            _ if self.behalf.is_none() => self.scans.push(rel.id),
            _ => {}
        }
    }

    fn function_item(&mut self, scopes: &Scopes<'_>, call: &Expr, alias: Option<&Name>, renamed: &[Name]) -> Bound<Item> {
        let ExprKind::Call(c) = &call.kind else {
            self.expr(scopes, call)?;
            return Ok(derived(alias.map_or("", Name::as_str), Vec::new(), true));
        };
        let mut args = Vec::new();
        for a in &c.args {
            args.push(self.expr(scopes, a)?);
        }
        let shown = alias.map_or(c.name.as_str(), Name::as_str);
        let Some(found) = functions::resolve(self, &c.name, &args, false)? else {
            // A built-in one: one column of its own name, or columns that are not known.
            let column = ScopeColumn { name: shown.to_string(), ty: None, collation: None, source: None, item: 0 };
            return Ok(derived(shown, renamed_or(vec![column], renamed), true));
        };
        let open = found.columns.is_none();
        let mut columns = found.columns.unwrap_or_default();
        if let ([one], None, Some(a)) = (columns.as_mut_slice(), found.row_type, alias) {
            // A scalar function's only column takes the alias.
            one.name.clone_from(&a.value);
        }
        Ok(derived(shown, renamed_or(columns, renamed), open))
    }
}

fn renamed_or(mut columns: Vec<ScopeColumn>, renamed: &[Name]) -> Vec<ScopeColumn> {
    columns.iter_mut().zip(renamed).for_each(|(c, n)| c.name.clone_from(&n.value));
    let known = columns.len();
    columns.extend(renamed.iter().skip(known).map(|n| ScopeColumn {
        name: n.value.clone(),
        ty: None,
        collation: None,
        source: None,
        item: 0,
    }));
    columns
}

fn derived(alias: &str, columns: Vec<ScopeColumn>, open: bool) -> Item {
    Item {
        alias: alias.to_string(),
        schema: None,
        relation: None,
        columns,
        open,
        system_columns: false,
        qualified_only: false,
        needs_select: false,
    }
}

fn duplicate_alias(scope: &Scope) -> Bound<()> {
    for (i, a) in scope.items.iter().enumerate() {
        if !a.alias.is_empty() && scope.items[..i].iter().any(|b| b.alias == a.alias && b.schema == a.schema) {
            return Err(Fail::new("42712", a.alias.clone()));
        }
    }
    Ok(())
}

/// Columns outside aggregates and outside grouped expressions.
fn bare_columns<'e>(e: &'e Expr, grouped: &[&Expr], out: &mut Vec<&'e [Name]>) {
    if grouped.iter().any(|g| g.kind == e.kind) {
        return;
    }
    match &e.kind {
        ExprKind::Column(p) => out.push(p),
        ExprKind::Call(c) if !c.window && builtins::is_aggregate(c.name.as_str()) => {}
        ExprKind::Call(c) => c.args.iter().for_each(|a| bare_columns(a, grouped, out)),
        ExprKind::Cast { expr, .. } | ExprKind::Unary { expr, .. } | ExprKind::IsNull { expr, .. } | ExprKind::Collate { expr, .. } => {
            bare_columns(expr, grouped, out)
        }
        ExprKind::Binary { left, right, .. } => {
            bare_columns(left, grouped, out);
            bare_columns(right, grouped, out);
        }
        // What is not fully understood may hold an aggregate of its own (FILTER, WITHIN GROUP).
        _ => {}
    }
}

pub fn primary_key(r: &Relation) -> Option<&[String]> {
    r.constraints.iter().find_map(|c| match &c.kind {
        crate::catalog::ConKind::PrimaryKey { columns, .. } if !c.deferrable => Some(columns.as_slice()),
        _ => None,
    })
}

pub fn option_is_on(options: &crate::op::Options, key: &str) -> bool {
    options.iter().any(|(k, v)| {
        k == key && v.as_deref().is_none_or(|v| matches!(v.trim_matches('\'').to_ascii_lowercase().as_str(), "true" | "on" | "1" | "yes"))
    })
}

/// The name Postgres gives to an unnamed output column.
fn column_name(e: &Expr) -> String {
    match &e.kind {
        ExprKind::Column(p) => p.last().map_or_else(String::new, |n| n.value.clone()),
        ExprKind::Call(c) => c.name.as_str().to_string(),
        ExprKind::Cast { expr, ty } => match column_name(expr).as_str() {
            "?column?" => ty.name.as_str().to_string(),
            n => n.to_string(),
        },
        ExprKind::Collate { expr, .. } => column_name(expr),
        ExprKind::Case(_) => "case".into(),
        ExprKind::SqlValue(w) => w.to_ascii_lowercase(),
        _ => "?column?".into(),
    }
}
