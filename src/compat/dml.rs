//! INSERT, UPDATE, DELETE, MERGE: analysis, the rewriter's checks, then what `write` says about the rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::catalog::{Column, ColumnType, RelKind, Relation};
use crate::op::{Assignment, ConflictTarget, Dml, DmlKind, Expr, ExprKind, InsertSource, Name, OnConflict, Query, QueryBody, TriggerMode};

use super::arbiters::{self, Arbiter};
use super::eval::Datum;
use super::expr::Binder;
use super::outcome::{Bound, Fail, OutColumn};
use super::scope::{Item, Scope, Scopes, known};
use super::types::Typed;
use super::write::{self, Conflict, Incoming};
use super::{names, query};

/// What a statement writes to: the named relation, and the table below it where that is a view.
pub struct Written {
    pub named: Arc<Relation>,
    pub base: Arc<Relation>,
    /// On whose behalf the base is written.
    pub behalf: Option<Option<String>>,
    /// Named column → base column.
    columns: Vec<(String, Option<String>)>,
}

impl Written {
    /// A table that is written under its own name.
    pub fn direct(rel: Arc<Relation>) -> Self {
        let columns = rel.columns.iter().map(|c| (c.name.clone(), Some(c.name.clone()))).collect();
        Written { named: rel.clone(), base: rel, behalf: None, columns }
    }

    pub fn base_column(&self, name: &str) -> Option<&Column> {
        let (_, base) = self.columns.iter().find(|(n, _)| n == name)?;
        self.base.column(base.as_deref()?)
    }
}

impl Binder<'_, '_> {
    pub fn dml(&mut self, outer: &Scopes<'_>, d: &Dml) -> Bound<Option<Vec<OutColumn>>> {
        let depth = self.ctes.len();
        self.bind_ctes(outer, &d.ctes)?;
        let out = self.dml_inside(outer, d);
        self.ctes.truncate(depth);
        out
    }

    fn dml_inside(&mut self, outer: &Scopes<'_>, d: &Dml) -> Bound<Option<Vec<OutColumn>>> {
        let named = match self.s.relation(&d.table) {
            Ok(r) => r.clone(),
            Err(f) if f.state == names::UNKNOWN || !self.s.cat.complete => {
                self.opaque = true;
                return Ok(None);
            }
            Err(f) => return Err(f),
        };
        if !names::is_table_like(named.kind) {
            return Err(Fail::new("42809", named.name.clone()));
        }
        self.relations.push(named.id);
        if named.assumed {
            self.opaque = true;
        }
        match &d.kind {
            DmlKind::Insert { columns, source, overriding, on_conflict } => {
                self.insert(outer, d, &named, columns.as_deref(), source, *overriding, on_conflict.as_ref())
            }
            DmlKind::Update { set } => self.update(outer, d, &named, set),
            DmlKind::Delete => self.delete(outer, d, &named),
            DmlKind::Merge { on, actions, conditions } => self.merge(outer, d, &named, on.as_ref(), actions, conditions),
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn insert(
        &mut self,
        outer: &Scopes<'_>,
        d: &Dml,
        named: &Arc<Relation>,
        columns: Option<&[Name]>,
        source: &InsertSource,
        overriding: bool,
        on_conflict: Option<&OnConflict>,
    ) -> Bound<Option<Vec<OutColumn>>> {
        let targets = insert_targets(named, columns)?;
        let mut given: BTreeSet<usize> = BTreeSet::new();
        let mut rows: Vec<Vec<Option<Datum>>> = Vec::new();
        match source {
            InsertSource::Default => rows.push(Vec::new()),
            InsertSource::Query(q) => match (&q.body, q.ctes.is_empty()) {
                (QueryBody::Values(values), true) => {
                    for row in values {
                        rows.push(self.insert_row(outer, row, &targets, columns.is_some(), &mut given)?);
                    }
                }
                _ => {
                    let found = self.query(outer, q)?;
                    if let Some(found) = &found {
                        count(found.len(), targets.len(), columns.is_some())?;
                        for (i, (o, t)) in found.iter().zip(&targets).enumerate() {
                            given.insert(i);
                            if let Some(ty) = known(&t.ty) {
                                self.assign(&Typed::maybe(o.ty.clone()), &ty, &t.name)?;
                            }
                        }
                    }
                    rows = self.selected_rows(q, found.as_deref());
                }
            },
        }
        for &i in &given {
            self.need(named.id, "INSERT", targets.get(i).map(|c| c.name.as_str()));
        }
        if given.is_empty() {
            self.need(named.id, "INSERT", None);
        }
        let mut conflict = None;
        let mut set_columns = Vec::new();
        if let Some(c) = on_conflict {
            let target = Item::of_relation(named, d.alias.as_ref(), &[]);
            set_columns = self.on_conflict(outer, named, target, c)?;
            conflict = Some(c);
        }
        let out = self.returning(outer, named, d, &Scope::default())?;
        let ruled = |event: &str| named.rules.iter().any(|r| r.event.eq_ignore_ascii_case(event) && r.mode != TriggerMode::Disable);
        if conflict.is_some() && ruled("UPDATE") {
            return Err(Fail::new("0A000", named.name.clone()));
        }
        let refuse = |w: &Written| -> Bound<()> {
            for &i in &given {
                let Some(col) = targets.get(i).and_then(|t| w.base_column(&t.name)) else {
                    if let (true, Some(t)) = (w.base.id != named.id, targets.get(i)) {
                        return Err(Fail::new("0A000", t.name.clone()));
                    }
                    continue;
                };
                let always = col.identity.as_ref().is_some_and(|i| i.always) && !overriding;
                if always || col.generated.is_some() {
                    return Err(Fail::new("428C9", col.name.clone()));
                }
            }
            Ok(())
        };
        // The rewriter refuses values for columns that are always generated, before rules take a table's place.
        if named.kind.is_table() {
            refuse(&Written::direct(named.clone()))?;
        }
        let Some(w) = self.written(named, "INSERT", &set_columns)? else { return Ok(out) };
        refuse(&w)?;
        let mut base_given: Vec<&str> = given.iter().filter_map(|&i| Some(w.base_column(&targets.get(i)?.name)?.name.as_str())).collect();
        base_given.sort_unstable();
        if base_given.windows(2).any(|p| p[0] == p[1]) {
            return Err(Fail::bare("42601"));
        }
        let mut arbiter = None;
        if let Some(c) = conflict {
            arbiter = Some(self.arbiter(&w, c)?);
        }
        let incoming: Vec<Incoming> = rows
            .into_iter()
            .map(|row| {
                let values =
                    row.into_iter().enumerate().filter_map(|(i, d)| Some((w.base_column(&targets.get(i)?.name)?.name.clone(), d?)));
                values.collect()
            })
            .collect();
        let on = conflict.map(|c| Conflict { spec: c, arbiter: arbiter.flatten() });
        write::insert(self, &w, incoming, on.as_ref());
        Ok(out)
    }

    fn insert_row(
        &mut self,
        outer: &Scopes<'_>,
        row: &[Expr],
        targets: &[Column],
        explicit: bool,
        given: &mut BTreeSet<usize>,
    ) -> Bound<Vec<Option<Datum>>> {
        let mut typed = Vec::with_capacity(row.len());
        for e in row {
            typed.push(if is_default(e) { None } else { Some(self.expr(outer, e)?) });
        }
        count(row.len(), targets.len(), explicit)?;
        let mut out = Vec::with_capacity(row.len());
        for (i, ((e, t), col)) in row.iter().zip(&typed).zip(targets).enumerate() {
            let Some(t) = t else {
                out.push(None);
                continue;
            };
            given.insert(i);
            if let Some(ty) = known(&col.ty) {
                self.assign(t, &ty, &col.name)?;
            }
            out.push(Some(self.value(e)));
        }
        Ok(out)
    }

    fn on_conflict(&mut self, outer: &Scopes<'_>, named: &Arc<Relation>, target: Item, c: &OnConflict) -> Bound<Vec<String>> {
        let mut scope = Scope::default();
        scope.push(target);
        if let ConflictTarget::Columns(exprs, filter) = &c.target {
            let scopes: Vec<&Scope> = outer.iter().copied().chain([&scope]).collect();
            for e in exprs {
                self.expr(&scopes, e)?;
            }
            if let Some(f) = filter {
                self.condition(&scopes, f)?;
            }
        }
        if let ConflictTarget::Constraint(name) = &c.target {
            if named.constraint(name.as_str()).is_none() {
                return Err(Fail::new("42704", name.as_str()));
            }
            if let Some(columns) = arbiters::constraint_columns(named, name.as_str()) {
                for col in columns {
                    self.need(named.id, "SELECT", Some(&col));
                }
            }
        }
        if c.set.is_empty() {
            return Ok(Vec::new());
        }
        if matches!(c.target, ConflictTarget::Any) {
            return Err(Fail::bare("42601"));
        }
        let mut excluded = Item::of_relation(named, None, &[]);
        excluded.alias = "excluded".into();
        excluded.schema = None;
        excluded.qualified_only = true;
        excluded.needs_select = false;
        scope.push(excluded);
        let scopes: Vec<&Scope> = outer.iter().copied().chain([&scope]).collect();
        let set = self.assignments(&scopes, named, &c.set)?;
        if let Some(f) = &c.filter {
            self.condition(&scopes, f)?;
        }
        Ok(set)
    }

    /// SET a = 1, (b, c) = (…): names of the columns that are set. Generated ones are refused later, by the rewriter.
    fn assignments(&mut self, scopes: &Scopes<'_>, named: &Relation, set: &[Assignment]) -> Bound<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        for a in set {
            let values: Vec<&Expr> = match (&a.value.kind, a.columns.len()) {
                (ExprKind::Row(items) | ExprKind::Other(items), n) if n > 1 && items.len() == n => items.iter().collect(),
                _ => vec![&a.value],
            };
            let mut typed = Vec::new();
            for v in &values {
                typed.push(if is_default(v) { Typed::Opaque } else { self.expr(scopes, v)? });
            }
            for (i, c) in a.columns.iter().enumerate() {
                let col = match named.column(c.as_str()) {
                    Some(col) => col,
                    None if named.assumed => continue,
                    None => return Err(Fail::new("42703", c.as_str())),
                };
                if names.contains(&col.name) {
                    return Err(Fail::new("42601", col.name.clone()));
                }
                if let (Some(t), Some(ty), true) = (typed.get(i), known(&col.ty), typed.len() == a.columns.len()) {
                    self.assign(t, &ty, &col.name)?;
                }
                self.need(named.id, "UPDATE", Some(&col.name));
                names.push(col.name.clone());
            }
        }
        Ok(names)
    }

    fn refuse_generated(&self, w: &Written, set: &[Assignment]) -> Bound<()> {
        for a in set.iter().filter(|a| !is_default(&a.value)) {
            for c in &a.columns {
                let Some(col) = w.base_column(c.as_str()) else {
                    if w.base.id != w.named.id {
                        return Err(Fail::new("0A000", c.as_str()));
                    }
                    continue;
                };
                if col.generated.is_some() || col.identity.as_ref().is_some_and(|i| i.always) {
                    return Err(Fail::new("428C9", col.name.clone()));
                }
            }
        }
        Ok(())
    }

    fn update(&mut self, outer: &Scopes<'_>, d: &Dml, named: &Arc<Relation>, set: &[Assignment]) -> Bound<Option<Vec<OutColumn>>> {
        let scope = self.target_scope(outer, d, named)?;
        let scopes: Vec<&Scope> = outer.iter().copied().chain([&scope]).collect();
        if let Some(f) = &d.filter {
            self.condition(&scopes, f)?;
        }
        let names = self.assignments(&scopes, named, set)?;
        let out = self.returning(outer, named, d, &scope)?;
        if named.kind.is_table() {
            self.refuse_generated(&Written::direct(named.clone()), set)?;
        }
        let Some(w) = self.written(named, "UPDATE", &names)? else { return Ok(out) };
        self.refuse_generated(&w, set)?;
        write::update(self, &w, d, set);
        Ok(out)
    }

    fn delete(&mut self, outer: &Scopes<'_>, d: &Dml, named: &Arc<Relation>) -> Bound<Option<Vec<OutColumn>>> {
        let scope = self.target_scope(outer, d, named)?;
        let scopes: Vec<&Scope> = outer.iter().copied().chain([&scope]).collect();
        if let Some(f) = &d.filter {
            self.condition(&scopes, f)?;
        }
        self.need(named.id, "DELETE", None);
        let out = self.returning(outer, named, d, &scope)?;
        let Some(w) = self.written(named, "DELETE", &[])? else { return Ok(out) };
        write::delete(self, &w, d);
        Ok(out)
    }

    #[allow(clippy::too_many_arguments)]
    fn merge(
        &mut self,
        outer: &Scopes<'_>,
        d: &Dml,
        named: &Arc<Relation>,
        on: Option<&Expr>,
        actions: &[DmlKind],
        conditions: &[Expr],
    ) -> Bound<Option<Vec<OutColumn>>> {
        if named.kind == RelKind::View && self.s.pg.0 < 17 {
            return Err(Fail::new("42809", named.name.clone()));
        }
        let scope = self.target_scope(outer, d, named)?;
        let scopes: Vec<&Scope> = outer.iter().copied().chain([&scope]).collect();
        for c in on.into_iter().chain(conditions) {
            self.condition(&scopes, c)?;
        }
        for a in actions {
            match a {
                DmlKind::Update { set } => {
                    let names = self.assignments(&scopes, named, set)?;
                    if let Some(w) = self.written(named, "UPDATE", &names)? {
                        self.refuse_generated(&w, set)?;
                        write::update(self, &w, &Dml { filter: None, from: Vec::new(), ..d.clone() }, set);
                    }
                }
                DmlKind::Delete => self.need(named.id, "DELETE", None),
                DmlKind::Insert { columns, source, overriding, .. } => {
                    let inner = Dml { returning: Vec::new(), ..d.clone() };
                    self.insert(&scopes, &inner, named, columns.as_deref(), source, *overriding, None)?;
                }
                DmlKind::Merge { .. } => {}
            }
        }
        self.returning(outer, named, d, &scope)
    }

    fn target_scope(&mut self, outer: &Scopes<'_>, d: &Dml, named: &Relation) -> Bound<Scope> {
        let mut scope = Scope::default();
        scope.push(Item::of_relation(named, d.alias.as_ref(), &[]));
        for f in &d.from {
            let side = self.from_item(outer, &scope, f)?;
            for i in side.items.iter().filter(|i| i.needs_select) {
                if let Some(r) = i.relation {
                    self.need(r, "SELECT", None);
                }
            }
            scope = scope.beside(side);
        }
        if scope.open {
            self.opaque = true;
        }
        Ok(scope)
    }

    fn returning(&mut self, outer: &Scopes<'_>, named: &Relation, d: &Dml, beside: &Scope) -> Bound<Option<Vec<OutColumn>>> {
        if d.returning.is_empty() {
            return Ok(None);
        }
        let event = match d.kind {
            DmlKind::Insert { .. } => "INSERT",
            DmlKind::Update { .. } => "UPDATE",
            _ => "DELETE",
        };
        if named.kind.is_table() && named.is_ruled(event) {
            // The rule's own statement returns nothing.
            return Err(Fail::new("0A000", named.name.clone()));
        }
        let mut scope = beside.clone();
        if scope.items.is_empty() {
            scope.push(Item::of_relation(named, d.alias.as_ref(), &[]));
        }
        if self.s.pg.0 >= 18 {
            for alias in ["old", "new"] {
                let mut item = Item::of_relation(named, None, &[]);
                item.alias = alias.into();
                item.schema = None;
                item.qualified_only = true;
                scope.push(item);
            }
        }
        let scopes: Vec<&Scope> = outer.iter().copied().chain([&scope]).collect();
        let mut out = Some(Vec::new());
        for t in &d.returning {
            self.target(&scopes, t, &mut out)?;
        }
        if out.as_ref().is_some_and(Vec::is_empty) && !named.assumed {
            // `RETURNING *` of a table that has no column left.
            return Err(Fail::bare("42601"));
        }
        Ok(out)
    }

    /// Follows a simple view down to the table that is really written, with the rewriter's objections.
    /// `None`: an INSTEAD OF trigger or rule does it, or it cannot be told.
    fn written(&mut self, named: &Arc<Relation>, event: &'static str, set: &[String]) -> Bound<Option<Written>> {
        let mut w = Written { behalf: self.behalf.clone(), ..Written::direct(named.clone()) };
        for _ in 0..16 {
            let rel = w.base.clone();
            if rel.is_ruled(event) {
                return Ok(None);
            }
            match rel.kind {
                RelKind::View => {}
                RelKind::MaterializedView | RelKind::Sequence => {
                    self.plan.push(Fail::new("42809", rel.name.clone()));
                    return Ok(None);
                }
                _ if rel.assumed => return Ok(None),
                _ => return Ok(Some(w)),
            }
            if rel.triggers.iter().any(|t| t.timing.eq_ignore_ascii_case("INSTEAD OF") && t.events.iter().any(|e| e == event)) {
                return Ok(None);
            }
            let Some(view) = &rel.view else { return Ok(None) };
            if !view.updatable {
                return Err(Fail::new("55000", rel.name.clone()));
            }
            let base_id = view.bases.iter().flatten().map(|(id, _)| *id).next().or_else(|| view.depends.first().map(|d| d.0));
            let Some(base) = base_id.and_then(|id| self.s.get(id)).cloned() else { return Ok(None) };
            let invoker = self.s.pg.0 >= 15 && query::option_is_on(&rel.options, "security_invoker");
            if !invoker {
                w.behalf = Some(rel.owner.clone());
            }
            for (_, col) in &mut w.columns {
                let below = col.as_ref().and_then(|c| rel.columns.iter().position(|x| x.name == *c));
                *col = below.and_then(|i| view.bases.get(i).cloned().flatten()).map(|(_, c)| c);
            }
            self.relations.push(base.id);
            let outer = std::mem::replace(&mut self.behalf, w.behalf.clone());
            self.need(base.id, event, None);
            if !set.is_empty() {
                self.need(base.id, "UPDATE", None);
            }
            self.behalf = outer;
            w.base = base;
        }
        Ok(None)
    }

    /// The planner looks for the unique index that ON CONFLICT means; not finding one is 42P10.
    fn arbiter(&mut self, w: &Written, c: &OnConflict) -> Bound<Option<Arbiter>> {
        if !c.set.is_empty() {
            self.refuse_generated(w, &c.set)?;
        }
        match arbiters::infer(self.s, w, c) {
            Ok(a) => Ok(a),
            Err(f) => {
                self.plan.push(f);
                Ok(None)
            }
        }
    }

    /// What an expression of VALUES or SET comes to where no column is in sight.
    pub fn value(&self, e: &Expr) -> Datum {
        super::eval::eval(e, &write::Params { samples: self.s.samples })
    }

    /// The rows that `INSERT … SELECT` brings, where they can be told.
    fn selected_rows(&mut self, q: &Query, found: Option<&[OutColumn]>) -> Vec<Vec<Option<Datum>>> {
        if let Some(rows) = write::select_known(self, q) {
            return rows.into_iter().map(|r| r.into_iter().map(Some).collect()).collect();
        }
        let width = found.map_or(0, <[_]>::len);
        vec![vec![Some(Datum::ANY); width]]
    }
}

fn count(have: usize, columns: usize, explicit: bool) -> Bound<()> {
    if have > columns || (explicit && have < columns) { Err(Fail::bare("42601")) } else { Ok(()) }
}

fn insert_targets(named: &Relation, columns: Option<&[Name]>) -> Bound<Vec<Column>> {
    let Some(names) = columns else { return Ok(named.columns.clone()) };
    let mut out: Vec<Column> = Vec::with_capacity(names.len());
    for n in names {
        let col = match named.column(n.as_str()) {
            Some(c) => c.clone(),
            None if named.assumed => assumed_column(n.as_str()),
            None => return Err(Fail::new("42703", n.as_str())),
        };
        if out.iter().any(|c| c.name == col.name) {
            return Err(Fail::new("42701", col.name));
        }
        out.push(col);
    }
    Ok(out)
}

fn assumed_column(name: &str) -> Column {
    Column::new(name, ColumnType { name: String::new(), id: None, modifiers: Vec::new(), array_dims: 0 }, Default::default())
}

/// DEFAULT in a row of VALUES or after SET.
pub fn is_default(e: &Expr) -> bool {
    e.text.trim().eq_ignore_ascii_case("default")
}
