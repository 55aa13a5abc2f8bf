//! From names to objects, along the search path.

use std::sync::Arc;

use crate::op::{ObjectKind, PgVersion, QName, TypeName};

use super::apply::{ApplyError, fails};
use super::names::{clip, clipped};
use super::{Catalog, ColumnType, Id, Origin, RelKind, Relation, Schema};

/// The schema of temporary objects, as it may be written.
pub(super) const TEMP: &str = "pg_temp";

type Res<T> = Result<T, ApplyError>;

impl Catalog {
    /// The relation that the name means, along the search path. System catalogs are not in the catalog.
    pub fn resolve(&self, name: &QName) -> Option<Id> {
        let relation = clipped(name.as_str());
        self.first_in_path(name.schema_str(), |schema| self.relation_names.get(&(schema, relation)).copied())
    }

    pub fn relation(&self, id: Id) -> Option<&Relation> {
        self.relations.get(&id).map(|r| &**r)
    }

    /// The relation as it is now, whatever is done to the catalog meanwhile.
    pub(super) fn shared(&self, id: Id) -> Option<Arc<Relation>> {
        self.relations.get(&id).cloned()
    }

    pub fn relation_by(&self, name: &QName) -> Option<&Relation> {
        self.relation(self.resolve(name)?)
    }

    /// A type made by the history, or the row type of a relation.
    pub fn type_id(&self, name: &QName) -> Option<Id> {
        let ty = clipped(name.as_str());
        self.first_in_path(name.schema_str(), |schema| {
            let key = (schema, ty);
            self.type_names.get(&key).copied().or_else(|| self.row_type(key))
        })
    }

    pub fn type_by(&self, name: &QName) -> Option<&super::Type> {
        self.types.get(&self.type_id(name)?).map(|t| &**t)
    }

    /// Functions of that name in the first schema of the path that has one.
    pub fn functions_named(&self, name: &QName) -> Vec<Id> {
        let function = clipped(name.as_str());
        self.first_in_path(name.schema_str(), |schema| self.function_names.get(&(schema, function)).cloned()).unwrap_or_default()
    }

    fn row_type(&self, key: (&str, &str)) -> Option<Id> {
        let id = self.relation_names.get(&key)?;
        let kind = self.relations.get(id)?.kind;
        (!kind.is_index() && kind != RelKind::Sequence).then_some(*id)
    }

    fn first_in_path<T>(&self, schema: Option<&str>, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        match schema {
            Some(s) => find(s),
            None => self.temporary_schema.then(|| find(TEMP)).flatten().or_else(|| self.effective_path().find_map(&find)),
        }
    }

    /// Schemas of the search path that exist, `$user` replaced by the current role.
    pub fn effective_path(&self) -> impl Iterator<Item = &str> {
        self.search_path.iter().filter_map(|s| {
            let s = if s == "$user" { self.settings.get("role").map(|r| r.value.as_str())? } else { s.as_str() };
            self.schemas.contains_key(s).then_some(s)
        })
    }

    /// The schema in which a new object of that name comes to be.
    pub(super) fn creation_schema(&mut self, name: &QName, temporary: bool) -> Res<String> {
        match name.schema_str() {
            Some(s) if temporary && s != TEMP => Err(fails("42P16", "cannot create temporary relation in non-temporary schema")),
            Some(s) if s != TEMP => self.need_schema(s),
            Some(_) => Ok(self.need_temporary_schema()),
            None if temporary => Ok(self.need_temporary_schema()),
            None => {
                // An unqualified name goes to the first schema of the path, which may be pg_temp.
                let first = self.search_path.iter().find(|s| *s == TEMP || self.effective_path().any(|e| e == s.as_str())).cloned();
                match first {
                    Some(s) if s == TEMP => return Ok(self.need_temporary_schema()),
                    Some(s) => return Ok(s),
                    None => {}
                }
                if self.complete {
                    return Err(fails("3F000", "no schema has been selected to create in"));
                }
                let assumed = self.search_path.iter().find(|s| *s != "$user" && *s != "pg_catalog").cloned();
                self.need_schema(&assumed.unwrap_or_else(|| "public".to_string()))
            }
        }
    }

    fn need_temporary_schema(&mut self) -> String {
        self.temporary_schema = true;
        TEMP.to_string()
    }

    /// Postgres's words for a schema that is written and is not there.
    pub(super) fn no_schema(&self, name: &QName) -> Option<ApplyError> {
        let schema = name.schema_str().filter(|s| !self.schemas.contains_key(*s))?;
        let missing = if schema == TEMP { !self.temporary_schema } else { !is_system_name(name) };
        missing.then(|| fails("3F000", format!("schema \"{schema}\" does not exist")))
    }

    /// The schema, made up when the history is not complete.
    pub(super) fn need_schema(&mut self, name: &str) -> Res<String> {
        let name = clip(name);
        if !self.schemas.contains_key(&name) && name != TEMP && !is_system_schema(&name) {
            if self.complete {
                return Err(fails("3F000", format!("schema \"{name}\" does not exist")));
            }
            let schema = Schema { assumed: true, ..Schema::new(name.clone(), Origin::default()) };
            self.schemas.insert(name.clone(), schema.into());
        }
        Ok(name)
    }

    /// The relation, made up as a table when the history is not complete.
    pub(super) fn need_relation(&mut self, name: &QName) -> Res<Id> {
        self.need_relation_of(name, RelKind::Table)
    }

    pub(super) fn need_relation_of(&mut self, name: &QName, kind: RelKind) -> Res<Id> {
        if let Some(id) = self.resolve(name) {
            return Ok(id);
        }
        let e = self.no_relation_or_schema(name);
        if self.complete || is_system_name(name) {
            return Err(e);
        }
        self.assume(name, kind)
    }

    fn assume(&mut self, name: &QName, kind: RelKind) -> Res<Id> {
        let schema = self.creation_schema(name, false)?;
        let id = self.fresh();
        let mut rel = Relation::empty(id, schema, clip(name.as_str()), kind, Origin::default());
        rel.assumed = true;
        self.put(rel);
        Ok(id)
    }

    pub(super) fn no_relation_or_schema(&self, name: &QName) -> ApplyError {
        self.no_schema(name).unwrap_or_else(|| self.no_relation(name))
    }

    /// Postgres's words for a relation that is not there: those of queries, which do not tell a missing schema apart. An extension or the system
    /// may have it all the same.
    pub(super) fn no_relation(&self, name: &QName) -> ApplyError {
        let e = fails("42P01", format!("relation \"{name}\" does not exist"));
        if is_system_name(name) || self.unknown_extension() { e.maybe() } else { e }
    }

    /// The type as the catalog knows it; a type that it does not know keeps its written name and has no id.
    pub fn resolve_type(&self, ty: &TypeName) -> ColumnType {
        self.find_type(ty).unwrap_or_else(|| ColumnType {
            name: ty.name.to_string(),
            id: None,
            modifiers: ty.modifiers.clone(),
            array_dims: ty.array_dims,
        })
    }

    /// Like `resolve_type`, with Postgres's error for a type that does not exist.
    pub(super) fn need_type(&self, ty: &TypeName) -> Res<ColumnType> {
        if let Some(found) = self.find_type(ty) {
            return Ok(found);
        }
        if ty.percent_type {
            return Err(fails("42P01", format!("relation \"{}\" does not exist", ty.name.schema_str().unwrap_or(ty.name.as_str()))).maybe());
        }
        if self.complete && !self.unknown_extension() && !is_system_name(&ty.name) {
            return Err(fails("42704", format!("type \"{}{}\" does not exist", ty.name, "[]".repeat(ty.array_dims.min(1).into()))));
        }
        Ok(self.resolve_type(ty))
    }

    fn find_type(&self, ty: &TypeName) -> Option<ColumnType> {
        if ty.percent_type {
            let table = QName { schema: None, name: ty.name.schema.clone()? };
            return Some(self.relation_by(&table)?.column(ty.name.as_str())?.ty.clone());
        }
        let name = ty.name.as_str();
        let modifiers = || ty.modifiers.clone();
        if matches!(ty.name.schema_str(), None | Some("pg_catalog")) {
            let builtin = match name {
                "serial" | "serial4" => Some("integer"),
                "bigserial" | "serial8" => Some("bigint"),
                "smallserial" | "serial2" => Some("smallint"),
                _ => BUILTIN_TYPES.binary_search(&name).ok().map(|i| BUILTIN_TYPES[i]),
            };
            if let Some(b) = builtin {
                return Some(ColumnType {
                    name: b.into(),
                    id: None,
                    modifiers: canonical_modifiers(b, modifiers(), &ty.text),
                    array_dims: ty.array_dims,
                });
            }
        }
        let id = self.type_id(&ty.name)?;
        let (schema, name) = match (self.types.get(&id), self.relations.get(&id)) {
            (Some(t), _) => (&t.schema, &t.name),
            (_, Some(r)) => (&r.schema, &r.name),
            _ => return None,
        };
        Some(ColumnType { name: format!("{schema}.{name}"), id: Some(id), modifiers: modifiers(), array_dims: ty.array_dims })
    }

    /// An extension is there whose objects are not known one by one.
    pub(super) fn unknown_extension(&self) -> bool {
        self.objects_of(ObjectKind::Extension).any(|o| !super::extensions::is_known(&o.name))
    }

    pub fn objects_of(&self, kind: ObjectKind) -> impl Iterator<Item = &super::Object> {
        self.objects.range((kind, String::new(), String::new())..).take_while(move |((k, ..), _)| *k == kind).map(|(_, o)| &**o)
    }

    pub(super) fn at_least(&self, major: u8) -> bool {
        self.pg >= PgVersion(major)
    }
}

/// Modifiers as `format_type` shows them: the ones that the grammar adds are written out.
fn canonical_modifiers(name: &str, mut modifiers: Vec<String>, text: &str) -> Vec<String> {
    match name {
        "character" | "bit" if modifiers.is_empty() && !text.to_ascii_lowercase().contains("bpchar") => modifiers.push("1".to_string()),
        "numeric" if modifiers.len() == 1 => modifiers.push("0".to_string()),
        // A precision beyond six is reduced with a warning.
        "timestamp with time zone" | "timestamp without time zone" | "time with time zone" | "time without time zone"
            if modifiers.first().and_then(|m| m.parse::<u32>().ok()).is_some_and(|p| p > 6) =>
        {
            modifiers[0] = "6".to_string();
        }
        _ => {}
    }
    modifiers
}

pub(super) fn is_system_schema(schema: &str) -> bool {
    matches!(schema, "pg_catalog" | "information_schema" | "pg_toast")
        || schema.starts_with("pg_toast_temp")
        || schema.starts_with("pg_temp_")
}

/// It may be an object of the system, which the catalog does not hold.
pub(super) fn is_system_name(name: &QName) -> bool {
    match name.schema_str() {
        Some(s) => is_system_schema(s),
        None => name.as_str().starts_with("pg_"),
    }
}

/// Types of `pg_catalog` under the names that `format_type` gives them, sorted.
const BUILTIN_TYPES: &[&str] = &[
    "\"char\"",
    "aclitem",
    "any",
    "anyarray",
    "anycompatible",
    "anycompatiblearray",
    "anycompatiblemultirange",
    "anycompatiblenonarray",
    "anycompatiblerange",
    "anyelement",
    "anyenum",
    "anymultirange",
    "anynonarray",
    "anyrange",
    "bigint",
    "bit",
    "bit varying",
    "boolean",
    "box",
    "bpchar",
    "bytea",
    "char",
    "character",
    "character varying",
    "cid",
    "cidr",
    "circle",
    "cstring",
    "date",
    "datemultirange",
    "daterange",
    "double precision",
    "event_trigger",
    "fdw_handler",
    "gtsvector",
    "index_am_handler",
    "inet",
    "int2vector",
    "int4multirange",
    "int4range",
    "int8multirange",
    "int8range",
    "integer",
    "internal",
    "interval",
    "json",
    "jsonb",
    "jsonpath",
    "language_handler",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "money",
    "name",
    "numeric",
    "nummultirange",
    "numrange",
    "oid",
    "oidvector",
    "path",
    "pg_brin_bloom_summary",
    "pg_lsn",
    "pg_mcv_list",
    "pg_node_tree",
    "pg_snapshot",
    "point",
    "polygon",
    "real",
    "record",
    "refcursor",
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
    "smallint",
    "table_am_handler",
    "text",
    "tid",
    "time with time zone",
    "time without time zone",
    "timestamp with time zone",
    "timestamp without time zone",
    "trigger",
    "tsm_handler",
    "tsmultirange",
    "tsquery",
    "tsrange",
    "tstzmultirange",
    "tstzrange",
    "tsvector",
    "txid_snapshot",
    "unknown",
    "uuid",
    "void",
    "xid",
    "xid8",
    "xml",
];

pub(super) fn is_builtin_type(name: &str) -> bool {
    BUILTIN_TYPES.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_of_types_is_sorted_for_the_binary_search() {
        assert!(super::BUILTIN_TYPES.is_sorted());
    }
}
