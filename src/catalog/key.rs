//! By what names are looked up.

use std::cmp::Ordering;
use std::sync::Arc;

use equivalent::{Comparable, Equivalent};

/// Schema and name. Shared, because changing a persistent map copies its neighbours too; in order of the name, because the names that one statement
/// makes (a table, its key, its sequence) are neighbours, and a copy then serves them all. Looked up by `(schema, name)` as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameKey(Arc<(String, String)>);

impl NameKey {
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> NameKey {
        NameKey(Arc::new((schema.into(), name.into())))
    }

    fn parts(&self) -> (&str, &str) {
        (&self.0.0, &self.0.1)
    }
}

impl PartialOrd for NameKey {
    fn partial_cmp(&self, other: &NameKey) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for NameKey {
    fn cmp(&self, other: &NameKey) -> Ordering {
        self.parts().compare(other)
    }
}

impl Equivalent<NameKey> for (&str, &str) {
    fn equivalent(&self, key: &NameKey) -> bool {
        *self == key.parts()
    }
}

impl Comparable<NameKey> for (&str, &str) {
    fn compare(&self, key: &NameKey) -> Ordering {
        let (schema, name) = key.parts();
        self.1.cmp(name).then_with(|| self.0.cmp(schema))
    }
}
