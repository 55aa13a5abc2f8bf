//! Finding what a name means: the search path, schema privileges, types, functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::{Catalog, ColumnType, Function, Id, RelKind, Relation};
use crate::op::{PgVersion, QName, TypeName};

use super::outcome::{Bound, Fail};
use super::{permissions, types};

/// Who asks, and on which schema.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    pub cat: &'a Catalog,
    /// The schema before the change, when `cat` is the one after it: names inside older functions were resolved there.
    pub before: Option<&'a Catalog>,
    /// Of the release's own sessions: a migration's `SET search_path` does not reach them.
    pub path: &'a [String],
    /// `None`: the tables' owner, who may do everything.
    pub role: Option<&'a str>,
    pub pg: PgVersion,
    /// Parameters that stand for a value of a known type.
    pub samples: &'a BTreeMap<String, ColumnType>,
    /// The other schema of the two that are compared.
    pub other: &'a Catalog,
    /// Parameters have the types that they got at PREPARE; otherwise they stand for values in the text.
    pub typed: bool,
}

impl<'a> Session<'a> {
    /// The schemas that an unqualified name is looked for in, in order; those that the role may not use are passed over.
    fn schemas(&self) -> impl Iterator<Item = &'a str> + use<'a, '_> {
        let role = self.role;
        let path = self.path;
        path.iter().filter_map(move |s| if s == "$user" { role } else { Some(s.as_str()) }).filter(|s| permissions::may_use_schema(self, s))
    }

    pub fn relation(&self, name: &QName) -> Bound<&'a Arc<Relation>> {
        let wanted = name.as_str();
        match name.schema_str() {
            Some(s) => {
                let own = self.path.iter().any(|p| p == "pg_temp") && s == "pg_temp";
                if !self.cat.schemas.contains_key(s) && !system_schema(s) && !own {
                    // A missing schema is reported as a missing relation when a relation is looked for.
                    return Err(self.unknown("42P01", name));
                }
                if !permissions::may_use_schema(self, s) {
                    return Err(Fail::new("42501", s));
                }
                self.cat.relation_named(s, wanted).ok_or_else(|| self.unknown("42P01", name))
            }
            None => self.schemas().find_map(|s| self.cat.relation_named(s, wanted)).ok_or_else(|| self.unknown("42P01", name)),
        }
    }

    /// Where something is missing from a catalog that is not complete, or is Postgres's own, nothing is concluded.
    fn unknown(&self, state: &'static str, name: &QName) -> Fail {
        let own = name.schema_str().is_some_and(system_schema)
            || (name.schema.is_none() && (name.as_str().starts_with("pg_") || name.as_str().starts_with("sql_")));
        Fail::new(if own { UNKNOWN } else { state }, name.to_string())
    }

    /// The type that a cast or a definition names.
    pub fn type_named(&self, ty: &TypeName) -> Bound<Option<ColumnType>> {
        if ty.percent_type {
            return Ok(None);
        }
        let modifiers = ty.modifiers.clone();
        if types::is_built_in(ty) {
            let name = match ty.name.as_str() {
                "serial" => "integer",
                "bigserial" => "bigint",
                "smallserial" => "smallint",
                n => n,
            };
            return Ok(Some(ColumnType { name: name.into(), id: None, modifiers, array_dims: ty.array_dims }));
        }
        let name = ty.name.as_str();
        let find = |s: &str| self.cat.type_names.get(&(s, name)).copied();
        let id = match ty.name.schema_str() {
            Some(s) => find(s),
            None => self.schemas().find_map(find),
        };
        if let Some(schema) = ty.name.schema_str().filter(|s| self.no_such_schema(s)) {
            return Err(Fail::new("3F000", schema));
        }
        if let Some(t) = id.and_then(|id| self.cat.types.get(&id)) {
            return Ok(Some(ColumnType { name: format!("{}.{}", t.schema, t.name), id: Some(t.id), modifiers, array_dims: ty.array_dims }));
        }
        // A table's row type.
        let row = match ty.name.schema_str() {
            Some(s) => self.cat.relation_named(s, ty.name.as_str()),
            None => self.schemas().find_map(|s| self.cat.relation_named(s, ty.name.as_str())),
        };
        // What the catalog knew before the change is none of an extension's.
        let was_known = self.before.is_some_and(|b| match ty.name.schema_str() {
            Some(s) => b.type_names.contains_key(&(s, name)),
            None => self.schemas().any(|s| b.type_names.contains_key(&(s, name))),
        });
        if row.is_some() || self.has_extensions() && !was_known || !self.cat.complete || ty.name.as_str().starts_with("pg_") {
            return Ok(None);
        }
        Err(Fail::new("42704", ty.name.to_string()))
    }

    /// Functions of that name that can be seen, nearest schema first; a later one with the same arguments is hidden.
    pub fn functions(&self, name: &QName) -> Vec<&'a Arc<Function>> {
        let in_schema = |s: &str| {
            let ids = self.cat.function_names.get(&(s, name.as_str()));
            ids.into_iter().flatten().filter_map(|id| self.cat.functions.get(id)).collect::<Vec<_>>()
        };
        match name.schema_str() {
            Some(s) => in_schema(s),
            None => {
                let mut out: Vec<&Arc<Function>> = Vec::new();
                for s in self.schemas() {
                    for f in in_schema(s) {
                        if !out.iter().any(|o| o.arg_types == f.arg_types) {
                            out.push(f);
                        }
                    }
                }
                out
            }
        }
    }

    pub fn no_such_schema(&self, s: &str) -> bool {
        self.cat.complete && !self.cat.schemas.contains_key(s) && !system_schema(s)
    }

    /// Types, operators and functions of an extension are not in the catalog, so an unknown name may be one of them.
    pub fn has_extensions(&self) -> bool {
        self.cat.objects_of(crate::op::ObjectKind::Extension).any(|o| o.name != "plpgsql")
    }

    /// A function of this name was the user's own, before or after: another name that is not known is taken for a built-in one.
    pub fn own_function(&self, name: &str) -> bool {
        self.cat.has_function_named(name) || self.other.has_function_named(name)
    }

    pub fn get(&self, id: Id) -> Option<&'a Arc<Relation>> {
        self.cat.relations.get(&id)
    }
}

/// Stands in place of a SQLSTATE where the catalog cannot answer. It never leaves this room.
pub const UNKNOWN: &str = "unknown";

fn system_schema(s: &str) -> bool {
    matches!(s, "pg_catalog" | "information_schema" | "pg_toast")
}

/// May be read from and written to by name (an index or a composite type may not).
pub fn is_table_like(kind: RelKind) -> bool {
    !matches!(kind, RelKind::Index | RelKind::PartitionedIndex | RelKind::Composite)
}
