//! Flattens operations, effects, compatibility and context into named facts: the vocabulary of rules.

mod access;
mod breaks;
mod cascade;
mod code;
mod collect;
mod columns;
mod constraints;
mod data;
mod down;
mod here;
mod indexes;
mod knowledge;
mod locks;
mod naming;
mod needs;
mod replaced;
mod rewrites;
mod runner;
mod skipped;
mod types;
mod views;
mod vocabulary;
mod whole;
mod words;

use crate::catalog::RelName;
use crate::source::Span;
use crate::stats::Size;

pub use collect::{collect, each, op_names};
pub use down::collect_down;
pub use knowledge::Knowledge;
pub use needs::{Needs, needs};
pub use replaced::expansions;
pub use vocabulary::{FactId, VOCABULARY, id, is_known};

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Bool(bool),
    Number(i64),
    Text(String),
    List(Vec<String>),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Bool(b) => b.fmt(f),
            Value::Number(n) => n.fmt(f),
            Value::Text(t) => f.write_str(t),
            Value::List(l) => f.write_str(&l.join(", ")),
        }
    }
}

/// What is known about one operation (or one statement as a whole, or the file).
#[derive(Debug, Clone, Default)]
pub struct Facts {
    values: Vec<(FactId, Value)>,
    places: vocabulary::Places,
    /// The words to point at.
    pub span: Span,
    pub statement: Span,
    /// Table or other object that it is about.
    pub object: String,
    /// Index of the operation in its statement; `None`: the statement as a whole.
    pub op: Option<usize>,
    /// Tables that it is about, by the names that they had before the script, the first one first.
    pub tables: Vec<RelName>,
    /// Their sizes, in the same order, where statistics are given.
    pub sizes: Vec<Option<Size>>,
}

impl Facts {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.of(vocabulary::id(name)?)
    }

    pub fn of(&self, id: FactId) -> Option<&Value> {
        self.values.get(self.places.of(id)?).map(|(_, v)| v)
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        let mut all: Vec<_> = self.values.iter().map(|(id, v)| (id.name(), v)).collect();
        all.sort_by_key(|(name, _)| *name);
        all.into_iter()
    }

    fn set(&mut self, name: &'static str, value: Value) {
        let id = vocabulary::written(name);
        debug_assert!(id.is_some(), "`{name}` is missing in the vocabulary");
        let Some(id) = id else { return };
        match self.places.of(id) {
            Some(at) => self.values[at].1 = value,
            None => {
                self.places.set(id, self.values.len());
                self.values.push((id, value));
            }
        }
    }

    fn text(&mut self, name: &'static str, value: impl Into<String>) {
        self.set(name, Value::Text(value.into()));
    }

    fn flag(&mut self, name: &'static str, value: bool) {
        self.set(name, Value::Bool(value));
    }
}
