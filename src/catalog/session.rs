//! Transactions, savepoints, settings and roles.

use std::sync::Arc;

use crate::op::{ExprKind, Name, Query, QueryBody, SetScope, SetValue};

use super::apply::{Applied, Res, fails};
use super::{Catalog, Setting, Transaction};

impl Catalog {
    pub(super) fn begin(&mut self) -> Res<Applied> {
        // BEGIN inside a transaction is a warning.
        if self.transaction.is_none() {
            let before = self.clone();
            self.transaction = Some(Arc::new(Transaction { number: self.now.transaction, before, savepoints: Vec::new() }));
        }
        Ok(Applied::default())
    }

    pub(super) fn commit(&mut self, chain: bool) -> Res<Applied> {
        self.transaction = None;
        self.end_local_settings();
        if chain { self.begin() } else { Ok(Applied::default()) }
    }

    pub(super) fn rollback(&mut self, chain: bool) -> Res<Applied> {
        if let Some(t) = self.transaction.take() {
            self.return_to(&t.before);
            self.transaction = None;
        }
        self.end_local_settings();
        if chain { self.begin() } else { Ok(Applied::default()) }
    }

    /// The state as it was. Numbers that were given out stay used, as with sequences.
    fn return_to(&mut self, before: &Catalog) {
        let (next_id, now) = (self.next_id, self.now);
        *self = before.clone();
        self.next_id = next_id;
        self.now = now;
    }

    pub(super) fn savepoint(&mut self, name: &Name) -> Res<Applied> {
        // The runner's own transaction is not seen here; a savepoint shows that there is one.
        self.begin()?;
        let Some(t) = &self.transaction else { return Ok(Applied::default()) };
        let mut t = Transaction::clone(t);
        let mut here = self.clone();
        here.transaction = None;
        t.savepoints.push((name.value.clone(), here));
        self.transaction = Some(Arc::new(t));
        Ok(Applied::default())
    }

    pub(super) fn release_savepoint(&mut self, name: &Name) -> Res<Applied> {
        let Some(mut t) = self.transaction.as_deref().cloned() else { return Ok(Applied::default()) };
        let Some(i) = t.savepoints.iter().rposition(|(n, _)| *n == name.value) else {
            return Err(fails("3B001", format!("savepoint \"{}\" does not exist", name.value)));
        };
        t.savepoints.truncate(i);
        self.transaction = Some(Arc::new(t));
        Ok(Applied::default())
    }

    pub(super) fn rollback_to(&mut self, name: &Name) -> Res<Applied> {
        let Some(mut t) = self.transaction.as_deref().cloned() else { return Ok(Applied::default()) };
        let Some(i) = t.savepoints.iter().rposition(|(n, _)| *n == name.value) else {
            return Err(fails("3B001", format!("savepoint \"{}\" does not exist", name.value)));
        };
        t.savepoints.truncate(i + 1);
        let before = t.savepoints[i].1.clone();
        self.return_to(&before);
        self.transaction = Some(Arc::new(t));
        Ok(Applied::default())
    }

    /// Called when a script ends: an open transaction is closed as the runner would close it.
    pub fn end_of_script(&mut self) {
        self.transaction = None;
        self.end_local_settings();
        self.remove_temporary();
    }

    /// What SET LOCAL and SET TRANSACTION said is over.
    pub fn end_local_settings(&mut self) {
        let local: Vec<String> = self.settings.iter().filter(|(_, s)| s.local).map(|(k, _)| k.clone()).collect();
        for name in local {
            match self.settings.get(&name).and_then(|s| s.outer.clone()) {
                Some(outer) => {
                    self.settings.insert(name.clone(), *outer);
                }
                None => {
                    self.settings.remove(&name);
                }
            }
            if name == "search_path" {
                self.follow_search_path();
            }
        }
    }

    /// The session ends with the script: its temporary relations are gone, and its settings.
    fn remove_temporary(&mut self) {
        use super::drop::Obj;
        let temp = super::resolve::TEMP;
        let mut gone: Vec<_> = self
            .temporary
            .iter()
            .filter(|id| self.relation(**id).is_some_and(|r| r.index.is_none()))
            .map(|id| Obj::Relation(*id))
            .collect();
        gone.extend(self.functions.values().filter(|f| f.schema == temp).map(|f| Obj::Function(f.id)));
        gone.extend(self.types.values().filter(|t| t.schema == temp).map(|t| Obj::Type(t.id)));
        if !gone.is_empty() {
            let _ = self.drop_all(gone, true);
        }
        self.temporary_schema = false;
        self.settings.clear();
        self.follow_search_path();
    }

    pub(super) fn set_var(&mut self, scope: SetScope, name: &str, value: Option<&SetValue>) -> Res<Applied> {
        let Some(value) = value else { return self.reset_var(Some(name)) };
        let parts = if value.parts.is_empty() { split_list(&value.text) } else { value.parts.clone() };
        self.set(name, value.text.clone(), parts, scope != SetScope::Session);
        Ok(Applied::default())
    }

    fn set(&mut self, name: &str, value: String, parts: Vec<String>, local: bool) {
        let name = name.to_ascii_lowercase();
        let old = self.settings.get(&name).cloned();
        let outer = match (local, old) {
            (true, Some(o)) if o.local => o.outer,
            (true, Some(o)) => Some(Box::new(o)),
            _ => None,
        };
        self.settings.insert(name.clone(), Setting { value, parts, local, outer });
        if name == "search_path" {
            self.follow_search_path();
        }
    }

    /// A setting that the runner makes when it connects.
    pub fn set_in_session(&mut self, name: &str, value: &str) {
        self.set(name, value.to_string(), split_list(value), false);
    }

    pub(super) fn reset_var(&mut self, name: Option<&str>) -> Res<Applied> {
        match name {
            Some(n) => {
                self.settings.remove(&n.to_ascii_lowercase());
            }
            None => self.settings.clear(),
        }
        self.follow_search_path();
        Ok(Applied::default())
    }

    pub(super) fn set_role(&mut self, role: Option<&str>, session: bool, local: bool) -> Res<Applied> {
        let name = if session { "session_authorization" } else { "role" };
        match role.filter(|r| !r.eq_ignore_ascii_case("none") && !r.eq_ignore_ascii_case("default")) {
            Some(r) => self.set(name, r.to_string(), vec![r.to_string()], local),
            None => {
                self.settings.remove(name);
            }
        }
        if session {
            self.settings.remove("role");
        }
        Ok(Applied::default())
    }

    fn follow_search_path(&mut self) {
        self.search_path = match self.settings.get("search_path") {
            Some(s) => {
                s.parts.iter().filter(|p| !p.is_empty()).map(|p| if p == "\"$user\"" { "$user".to_string() } else { p.clone() }).collect()
            }
            None => vec!["$user".to_string(), "public".to_string()],
        };
    }

    /// `SELECT pg_catalog.set_config('search_path', '', false)`, as dumps begin.
    pub(super) fn settings_in(&mut self, q: &Query) {
        let QueryBody::Select(s) = &q.body else { return };
        for t in &s.targets {
            let ExprKind::Call(c) = &t.expr.kind else { continue };
            if c.name.as_str() != "set_config" {
                continue;
            }
            let [name, value, local] = c.args.as_slice() else { continue };
            if let (ExprKind::String(name), ExprKind::String(value), ExprKind::Bool(local)) = (&name.kind, &value.kind, &local.kind) {
                self.set(name, value.clone(), split_list(value), *local);
            }
        }
    }
}

/// The parts of a list such as a search path: folded where they are not quoted.
pub(super) fn split_list(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut part = String::new();
    let mut quote = None;
    let mut was_quoted = false;
    let mut push = |part: &mut String, was_quoted: &mut bool| {
        let p = if *was_quoted { part.clone() } else { part.trim().to_lowercase() };
        if !p.is_empty() {
            out.push(p);
        }
        part.clear();
        *was_quoted = false;
    };
    for c in text.chars() {
        match (c, quote) {
            ('"' | '\'', None) => {
                quote = Some(c);
                part.clear();
                was_quoted = true;
            }
            (c, Some(q)) if c == q => quote = None,
            (',', None) => push(&mut part, &mut was_quoted),
            (c, None) if was_quoted && c.is_whitespace() => {}
            (c, _) => part.push(c),
        }
    }
    push(&mut part, &mut was_quoted);
    out
}

#[cfg(test)]
mod tests {
    use super::split_list;

    #[test]
    fn lists_are_split_and_folded() {
        assert_eq!(split_list(r#""$user", Public, 'a b', "X""#), ["$user", "public", "a b", "X"]);
        assert!(split_list("").is_empty());
        assert!(split_list("''").is_empty());
    }
}
