//! RENAME and SET SCHEMA: names change, identities stay, and everything that stores a name follows.

use crate::op::{Expr, ExprKind, Name, ObjectKind, ObjectRef};

use super::apply::{Applied, Res, fails};
use super::columns::no_column;
use super::names::clip;
use super::{Catalog, ConKind, Id, RelKind, TypeKind};

impl Catalog {
    pub(super) fn rename_relation(&mut self, id: Id, to: &Name) -> Res<()> {
        let to = clip(to.as_str());
        let Some(rel) = self.shared(id) else { return Ok(()) };
        if self.name_taken(&rel.schema, &to) {
            return Err(fails("42P07", format!("relation \"{to}\" already exists")));
        }
        if self.type_names.contains_key(&(rel.schema.as_str(), to.as_str())) && !rel.kind.is_index() && rel.kind != RelKind::Sequence {
            return Err(fails("42710", format!("type \"{to}\" already exists")));
        }
        self.edit(id, |r| r.name.clone_from(&to));
        // A constraint and its index bear one name.
        if let Some(table) = rel.index.as_ref().map(|i| i.table) {
            self.edit(table, |r| r.constraints.iter_mut().filter(|c| c.kind.index() == Some(id)).for_each(|c| c.name.clone_from(&to)));
        }
        self.refresh_type_names(id);
        if rel.kind == RelKind::Sequence {
            self.refresh_nextval(id);
        }
        Ok(())
    }

    pub(super) fn move_relation(&mut self, id: Id, schema: &Name) -> Res<()> {
        let schema = self.need_schema(schema.as_str())?;
        let Some(rel) = self.shared(id) else { return Ok(()) };
        if rel.schema == schema {
            return Ok(());
        }
        if self.name_taken(&schema, &rel.name) {
            return Err(fails("42P07", format!("relation \"{}\" already exists in schema \"{schema}\"", rel.name)));
        }
        if rel.sequence.as_ref().is_some_and(|s| s.owned_by.is_some()) {
            return Err(fails("0A000", "cannot move an owned sequence into another schema"));
        }
        if rel.kind.is_index() {
            return Err(fails("42809", format!("cannot change schema of index \"{}\"", rel.name)));
        }
        // Indexes and owned sequences move along.
        let mut along: Vec<Id> = self.indexes_of(id).iter().map(|r| r.id).collect();
        along.extend(self.sequences_of(id).iter().map(|(s, _)| s.id));
        for m in along.iter().copied().chain([id]) {
            self.edit(m, |r| r.schema.clone_from(&schema));
        }
        self.refresh_type_names(id);
        for s in along {
            if self.relation(s).is_some_and(|r| r.kind == RelKind::Sequence) {
                self.refresh_nextval(s);
            }
        }
        Ok(())
    }

    pub(super) fn rename_column(&mut self, id: Id, from: &Name, to: &Name, only: bool) -> Res<()> {
        let (old, new) = (clip(from.as_str()), clip(to.as_str()));
        let Some(rel) = self.shared(id) else { return Ok(()) };
        if rel.kind == RelKind::Sequence {
            return Err(fails("42809", format!("cannot rename columns of relation \"{}\"", rel.name)).unless(rel.assumed));
        }
        if let Some(i) = &rel.index {
            if !i.columns.iter().flatten().chain(&i.include).any(|c| *c == old) && i.columns.iter().all(Option::is_some) {
                return Err(no_column(&old, &rel));
            }
            return Err(fails("42809", format!("cannot rename columns of index \"{}\"", rel.name)).maybe());
        }
        if rel.column(&old).is_none() && !rel.assumed {
            return Err(no_column(&old, &rel));
        }
        // Children come first.
        let children = if only { Vec::new() } else { self.descendants_of(id) };
        let tree: Vec<Id> = std::iter::once(id).chain(children).collect();
        let elsewhere = self.inherits_elsewhere(&tree, &old).map(|r| r.id);
        for child in tree.iter().skip(1).filter_map(|c| self.relation(*c)) {
            if elsewhere == Some(child.id) {
                return Err(fails("42P16", format!("cannot rename inherited column \"{old}\"")));
            }
            if child.column(&new).is_some() {
                return Err(fails("42701", format!("column \"{new}\" of relation \"{}\" already exists", child.name)).unless(child.assumed));
            }
        }
        if rel.parents.iter().any(|p| self.relation(*p).is_some_and(|p| p.column(&old).is_some())) {
            return Err(fails("42P16", format!("cannot rename inherited column \"{old}\"")));
        }
        if rel.column(&new).is_some() {
            return Err(fails("42701", format!("column \"{new}\" of relation \"{}\" already exists", rel.name)).unless(rel.assumed));
        }
        if only && !self.children_of(id).is_empty() {
            return Err(fails("42P16", format!("inherited column \"{old}\" must be renamed in child tables too")));
        }
        if rel.assumed {
            self.need_column(id, from)?;
        }
        for t in self.with_descendants(id, only) {
            self.rename_column_here(t, &old, &new);
        }
        Ok(())
    }

    /// In the relation itself and in all that stores the column's name.
    fn rename_column_here(&mut self, id: Id, old: &str, new: &str) {
        let swap = |s: &mut String| {
            if s == old {
                *s = new.to_string();
            }
        };
        self.edit(id, |r| {
            r.columns.iter_mut().for_each(|c| {
                swap(&mut c.name);
                if let Some(g) = &mut c.generated {
                    rename_in(&mut g.expr, old, new);
                }
            });
            for c in &mut r.constraints {
                match &mut c.kind {
                    ConKind::Check { columns, expr } => {
                        columns.iter_mut().for_each(swap);
                        rename_in(expr, old, new);
                    }
                    ConKind::NotNull { column } => swap(column),
                    ConKind::Unique { columns, .. } | ConKind::PrimaryKey { columns, .. } | ConKind::Exclude { columns, .. } => {
                        columns.iter_mut().for_each(swap);
                    }
                    ConKind::ForeignKey { columns, table, ref_columns, .. } => {
                        columns.iter_mut().for_each(swap);
                        if *table == id {
                            ref_columns.iter_mut().for_each(swap);
                        }
                    }
                }
            }
            for t in &mut r.triggers {
                t.update_of.iter_mut().for_each(swap);
                if let Some(w) = &mut t.when {
                    rename_in(w, old, new);
                }
            }
            for p in &mut r.policies {
                p.using.iter_mut().chain(&mut p.with_check).for_each(|e| rename_in(e, old, new));
            }
            if let Some(by) = &mut r.partition_by {
                by.keys.iter_mut().for_each(|e| rename_in(e, old, new));
            }
        });
        let referring: Vec<Id> = self.referrers(id).collect();
        for by in referring {
            self.edit(by, |r| {
                if let Some(i) = r.index.as_mut().filter(|i| i.table == id) {
                    i.columns.iter_mut().flatten().chain(&mut i.include).chain(&mut i.depends).for_each(swap);
                    i.elements.iter_mut().map(|e| &mut e.expr).chain(&mut i.filter).for_each(|e| rename_in(e, old, new));
                }
                if let Some((table, column)) = r.sequence.as_mut().and_then(|s| s.owned_by.as_mut())
                    && *table == id
                {
                    swap(column);
                }
                if let Some(v) = &mut r.view {
                    v.depends.iter_mut().filter(|(d, _)| *d == id).for_each(|(_, columns)| columns.iter_mut().for_each(swap));
                    v.bases.iter_mut().flatten().filter(|(d, _)| *d == id).for_each(|(_, column)| swap(column));
                }
                for c in &mut r.constraints {
                    if let ConKind::ForeignKey { table, ref_columns, .. } = &mut c.kind
                        && *table == id
                    {
                        ref_columns.iter_mut().for_each(swap);
                    }
                }
            });
        }
        let statistics: Vec<_> = self
            .objects_of(ObjectKind::Statistics)
            .filter(|o| o.relations.contains(&id))
            .map(|o| (o.kind, o.schema.clone(), o.name.clone()))
            .collect();
        for key in statistics {
            if let Some(o) = self.objects.get(&key) {
                let mut o = super::Object::clone(o);
                o.columns.iter_mut().for_each(swap);
                self.objects.insert(key, o.into());
            }
        }
    }

    pub(super) fn rename_constraint(&mut self, id: Id, from: &Name, to: &Name) -> Res<()> {
        let old = self.need_constraint(id, from)?;
        let new = clip(to.as_str());
        let Some(rel) = self.shared(id) else { return Ok(()) };
        if rel.constraint(&new).is_some() {
            return Err(fails("42710", format!("constraint \"{new}\" for relation \"{}\" already exists", rel.name)));
        }
        let Some(c) = rel.constraint(&old) else { return Ok(()) };
        if c.inherited && matches!(c.kind, ConKind::Check { .. }) {
            return Err(fails("42P16", format!("cannot rename inherited constraint \"{old}\"")));
        }
        if let Some(index) = c.kind.index() {
            if self.name_taken(&rel.schema, &new) {
                return Err(fails("42P07", format!("relation \"{new}\" already exists")));
            }
            self.edit(index, |r| r.name.clone_from(&new));
        }
        let check = matches!(c.kind, ConKind::Check { .. });
        self.edit_constraint(id, &old, |c| c.name.clone_from(&new));
        if check {
            for child in self.descendants_of(id) {
                self.edit_constraint(child, &old, |c| c.name.clone_from(&new));
            }
        }
        Ok(())
    }

    /// RENAME of anything that is not a relation or a part of one.
    pub(super) fn rename_object(&mut self, o: &ObjectRef, to: &Name) -> Res<Applied> {
        use ObjectKind::*;
        let new = clip(to.as_str());
        let old = clip(o.name.as_str());
        match o.kind {
            Table | View | MaterializedView | Index | Sequence | ForeignTable => {
                let id = self.need_relation(&o.name)?;
                self.rename_relation(id, to)?;
            }
            Column => {
                if let Some(on) = &o.on {
                    let id = self.need_relation(on)?;
                    self.rename_column(id, &o.name.name, to, false)?;
                }
            }
            Constraint => {
                if let Some(on) = &o.on {
                    let id = self.need_relation(on)?;
                    self.rename_constraint(id, &o.name.name, to)?;
                }
            }
            Type | Domain => match self.type_id(&o.name) {
                Some(id) if self.types.contains_key(&id) => {
                    let schema = self.types.get(&id).map(|t| t.schema.clone()).unwrap_or_default();
                    if self.type_names.contains_key(&(schema.as_str(), new.as_str())) || self.name_taken(&schema, &new) {
                        return Err(fails("42710", format!("type \"{new}\" already exists")));
                    }
                    self.edit_type(id, |t| t.name.clone_from(&new));
                    self.refresh_type_names(id);
                }
                Some(id) => self.rename_relation(id, to)?,
                None => return self.missing_is_fine(o),
            },
            Schema => {
                let Some(s) = self.schemas.get(&old).cloned() else { return self.missing_is_fine(o) };
                if self.schemas.contains_key(&new) {
                    return Err(fails("42P06", format!("schema \"{new}\" already exists")));
                }
                self.schemas.remove(&old);
                let mut s = super::Schema::clone(&s);
                s.name.clone_from(&new);
                self.schemas.insert(new.clone(), s.into());
                self.move_schema(&old, &new);
            }
            Function | Procedure | Routine | Aggregate => match self.find_function(o)? {
                Some(id) => self.edit_function(id, |f| f.name = new),
                None => return self.missing_is_fine(o),
            },
            Trigger | Policy | Rule => {
                let Some(on) = &o.on else { return Ok(Applied::default()) };
                let id = self.need_relation(on)?;
                let Some(rel) = self.relation(id) else { return Ok(Applied::default()) };
                let names = |n: &str| match o.kind {
                    Trigger => rel.triggers.iter().any(|t| t.name == n),
                    Policy => rel.policies.iter().any(|p| p.name == n),
                    _ => rel.rules.iter().any(|r| r.name == n),
                };
                if !names(&old) && !rel.assumed {
                    return Err(self.no_object(o));
                }
                if names(&new) {
                    let what = o.kind.to_string().to_ascii_lowercase();
                    let message = format!("{what} \"{new}\" for relation \"{}\" already exists", rel.name);
                    return Err(fails("42710", message));
                }
                if o.kind == Trigger && self.at_least(15) {
                    if self.relation(id).is_some_and(|r| r.triggers.iter().any(|t| t.name == old && t.inherited)) {
                        // It bears a code since 18.
                        let state = if self.at_least(18) { "0A000" } else { "XX000" };
                        return Err(fails(state, format!("cannot rename trigger \"{old}\" on a partition")));
                    }
                    for part in self.partitions_of(id) {
                        self.edit(part, |r| {
                            r.triggers.iter_mut().filter(|t| t.inherited && t.name == old).for_each(|t| t.name.clone_from(&new));
                        });
                    }
                }
                self.edit(id, |r| match o.kind {
                    Trigger => r.triggers.iter_mut().filter(|t| t.name == old).for_each(|t| t.name.clone_from(&new)),
                    Policy => r.policies.iter_mut().filter(|p| p.name == old).for_each(|p| p.name.clone_from(&new)),
                    _ => r.rules.iter_mut().filter(|x| x.name == old).for_each(|x| x.name.clone_from(&new)),
                });
            }
            DomainConstraint => {
                if let Some(id) = o.on.as_ref().and_then(|on| self.type_id(on)) {
                    self.edit_type(id, |t| {
                        if let TypeKind::Domain { checks, .. } = &mut t.kind {
                            checks.iter_mut().filter(|c| c.name == old).for_each(|c| c.name.clone_from(&new));
                        }
                    });
                }
            }
            _ => self.rename_named(o, &new)?,
        }
        Ok(Applied::default())
    }

    /// A missing object is an error where the catalog knows all, else nothing.
    pub(super) fn missing_is_fine(&self, o: &ObjectRef) -> Res<Applied> {
        if self.complete { Err(self.no_object(o)) } else { Ok(Applied::default()) }
    }

    pub(super) fn set_object_schema(&mut self, o: &ObjectRef, schema: &Name) -> Res<Applied> {
        use ObjectKind::*;
        match o.kind {
            Table | View | MaterializedView | Index | Sequence | ForeignTable => {
                let id = self.need_relation(&o.name)?;
                self.move_relation(id, schema)?;
            }
            Type | Domain => {
                let to = self.need_schema(schema.as_str())?;
                match self.type_id(&o.name) {
                    Some(id) if self.types.contains_key(&id) => {
                        self.edit_type(id, |t| t.schema = to);
                        self.refresh_type_names(id);
                    }
                    Some(id) => self.move_relation(id, schema)?,
                    None => return self.missing_is_fine(o),
                }
            }
            Function | Procedure | Routine | Aggregate => {
                let to = self.need_schema(schema.as_str())?;
                match self.find_function(o)? {
                    Some(id) => self.edit_function(id, |f| f.schema = to),
                    None => return self.missing_is_fine(o),
                }
            }
            Extension => {
                let to = self.need_schema(schema.as_str())?;
                self.move_extension(o.name.as_str(), &to);
            }
            _ => {
                let to = self.need_schema(schema.as_str())?;
                self.move_named(o, &to);
            }
        }
        Ok(Applied::default())
    }

    /// Everything in a schema follows its new name.
    fn move_schema(&mut self, old: &str, new: &str) {
        let relations: Vec<Id> = self.relations.values().filter(|r| r.schema == old).map(|r| r.id).collect();
        for id in &relations {
            self.edit(*id, |r| r.schema = new.to_string());
        }
        let types: Vec<Id> = self.types.values().filter(|t| t.schema == old).map(|t| t.id).collect();
        for id in &types {
            self.edit_type(*id, |t| t.schema = new.to_string());
        }
        let functions: Vec<Id> = self.functions.values().filter(|f| f.schema == old).map(|f| f.id).collect();
        for id in functions {
            self.edit_function(id, |f| f.schema = new.to_string());
        }
        let named: Vec<_> = self.objects.keys().filter(|(_, s, _)| s == old).cloned().collect();
        for key in named {
            if let Some(o) = self.objects.remove(&key) {
                let mut o = super::Object::clone(&o);
                o.schema = new.to_string();
                self.objects.insert((key.0, new.to_string(), key.2), o.into());
            }
        }
        for id in relations {
            self.refresh_type_names(id);
            self.refresh_nextval(id);
        }
        for id in types {
            self.refresh_type_names(id);
        }
    }

    /// Columns store the name of their type beside its id.
    fn refresh_type_names(&mut self, id: Id) {
        let name = match (self.types.get(&id), self.relations.get(&id)) {
            (Some(t), _) => format!("{}.{}", t.schema, t.name),
            (_, Some(r)) => format!("{}.{}", r.schema, r.name),
            _ => return,
        };
        let referring: Vec<Id> = self.referrers(id).collect();
        for by in referring {
            if self.relation(by).is_some_and(|r| r.columns.iter().any(|c| c.ty.id == Some(id))) {
                self.edit(by, |r| r.columns.iter_mut().filter(|c| c.ty.id == Some(id)).for_each(|c| c.ty.name.clone_from(&name)));
            }
            self.edit_type(by, |t| {
                if let TypeKind::Domain { base, .. } = &mut t.kind
                    && base.id == Some(id)
                {
                    base.name.clone_from(&name);
                }
            });
        }
    }

    /// A default stores the identity of its sequence, not its name: the words follow.
    fn refresh_nextval(&mut self, sequence: Id) {
        let Some(s) = self.relation(sequence).filter(|s| s.kind == RelKind::Sequence) else { return };
        let expr = super::sequences::nextval(&s.schema, &s.name);
        let referring: Vec<Id> = self.referrers(sequence).collect();
        for by in referring {
            self.edit(by, |r| {
                for c in r.columns.iter_mut().filter(|c| c.uses.contains(&sequence)) {
                    if matches!(&c.default, Some(Expr { kind: ExprKind::Call(call), .. }) if call.name.as_str() == "nextval") {
                        c.default = Some(expr.clone());
                    }
                }
            });
        }
    }
}

/// Renames a column inside a stored expression, structure and words.
pub(super) fn rename_in(e: &mut Expr, old: &str, new: &str) {
    let mut edits: Vec<(u32, u32)> = Vec::new();
    e.walk(&mut |e| {
        if let ExprKind::Column(parts) = &e.kind
            && let Some(last) = parts.last()
            && last.as_str() == old
        {
            edits.push((last.span.start, last.span.end));
        }
    });
    if edits.is_empty() {
        return;
    }
    edits.sort_unstable();
    edits.dedup();
    let base = e.span.start;
    // Expressions that were made up have no place in a file; there only the structure changes.
    let placed = e.span.range().len() == e.text.len()
        && edits.iter().all(|(s, t)| *s >= base && s < t && e.text.get((s - base) as usize..(t - base) as usize).is_some());
    let quoted = crate::quote::ident(new);
    if !placed {
        rename_structure(e, old, new, &|span| span, None);
        if let ExprKind::Column(_) = &e.kind {
            e.text = quoted;
        }
        return;
    }
    let mut text = String::with_capacity(e.text.len() + quoted.len());
    let mut at = 0;
    for (s, t) in &edits {
        text.push_str(&e.text[at..(s - base) as usize]);
        text.push_str(&quoted);
        at = (t - base) as usize;
    }
    text.push_str(&e.text[at..]);
    // Every place behind an edit moves by the difference in length; the end of an edited word counts as behind it.
    let shifted = |p: u32| {
        let moved: i64 = edits.iter().filter(|(_, t)| *t <= p).map(|(s, t)| quoted.len() as i64 - i64::from(t - s)).sum();
        (i64::from(p) + moved) as u32
    };
    let map = |span: crate::source::Span| crate::source::Span { start: shifted(span.start), end: shifted(span.end) };
    rename_structure(e, old, new, &map, Some((base, &text)));
}

type Map<'a> = &'a dyn Fn(crate::source::Span) -> crate::source::Span;

fn rename_structure(e: &mut Expr, old: &str, new: &str, map: Map<'_>, text: Option<(u32, &str)>) {
    e.span = map(e.span);
    if let Some((base, text)) = text
        && let (Some(s), Some(t)) = (e.span.start.checked_sub(base), e.span.end.checked_sub(base))
        && let Some(words) = text.get(s as usize..t as usize)
    {
        e.text = words.to_string();
    }
    let each = |e: &mut Expr| rename_structure(e, old, new, map, text);
    match &mut e.kind {
        ExprKind::Column(parts) => {
            for p in parts.iter_mut() {
                p.span = map(p.span);
            }
            if let Some(last) = parts.last_mut().filter(|l| l.as_str() == old) {
                last.value = new.to_string();
            }
        }
        ExprKind::Call(c) => c.args.iter_mut().for_each(each),
        ExprKind::Cast { expr, .. } | ExprKind::Unary { expr, .. } | ExprKind::IsNull { expr, .. } | ExprKind::Collate { expr, .. } => {
            each(expr)
        }
        ExprKind::Binary { left, right, .. } => {
            each(left);
            each(right);
        }
        ExprKind::Array(v) | ExprKind::Row(v) | ExprKind::Case(v) | ExprKind::Other(v) => v.iter_mut().for_each(each),
        _ => {}
    }
}
