//! Extensions: what the well-known ones bring.

use std::sync::Arc;

use crate::op::{Name, ObjectKind};

use super::apply::{Applied, Res, fails};
use super::names::clip;
use super::{Catalog, Id, Object};

/// Extension → types that it makes. An extension in this list makes no relations, schemas or trigger functions that a
/// migration could mean without the catalog knowing.
const KNOWN: &[(&str, &[&str])] = &[
    ("adminpack", &[]),
    ("amcheck", &[]),
    ("bloom", &[]),
    ("btree_gin", &[]),
    ("btree_gist", &[]),
    ("citext", &["citext"]),
    ("cube", &["cube"]),
    ("dict_int", &[]),
    ("dict_xsyn", &[]),
    ("earthdistance", &["earth"]),
    ("fuzzystrmatch", &[]),
    ("hstore", &["hstore", "ghstore"]),
    ("intarray", &["query_int", "intbig_gkey"]),
    ("isn", &["ean13", "isbn13", "ismn13", "issn13", "isbn", "ismn", "issn", "upc"]),
    ("lo", &["lo"]),
    ("ltree", &["ltree", "lquery", "ltxtquery", "ltree_gist"]),
    ("pg_trgm", &["gtrgm"]),
    ("pgcrypto", &[]),
    ("pgrowlocks", &[]),
    ("pgstattuple", &[]),
    ("plpgsql", &[]),
    ("seg", &["seg"]),
    ("tablefunc", &["tablefunc_crosstab_2", "tablefunc_crosstab_3", "tablefunc_crosstab_4"]),
    ("tcn", &[]),
    ("tsm_system_rows", &[]),
    ("tsm_system_time", &[]),
    ("unaccent", &[]),
    ("uuid-ossp", &[]),
    ("vector", &["vector", "halfvec", "sparsevec"]),
    ("xml2", &[]),
];

pub(super) fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|(n, _)| *n == name)
}

/// Extension → functions that only it has.
const FUNCTIONS: &[(&str, &[&str])] = &[
    ("uuid-ossp", &["uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v3", "uuid_generate_v4", "uuid_generate_v5", "uuid_nil"]),
    ("pgcrypto", &["gen_random_bytes", "gen_salt", "crypt", "hmac", "digest", "armor", "dearmor", "pgp_sym_encrypt", "pgp_sym_decrypt"]),
    ("unaccent", &["unaccent"]),
    ("pg_trgm", &["similarity", "word_similarity", "show_trgm"]),
];

fn types_of(name: &str) -> &'static [&'static str] {
    match name {
        // Makes relations too, so it is not among the known.
        "postgis" => &["geometry", "geography", "box2d", "box3d", "box2df", "spheroid", "gidx", "geometry_dump"],
        _ => KNOWN.iter().find(|(n, _)| *n == name).map_or(&[], |(_, t)| t),
    }
}

fn requires(name: &str) -> &'static [&'static str] {
    match name {
        "earthdistance" => &["cube"],
        "postgis_topology" | "postgis_raster" | "postgis_sfcgal" => &["postgis"],
        "postgis_tiger_geocoder" => &["postgis", "fuzzystrmatch"],
        _ => &[],
    }
}

impl Catalog {
    pub(super) fn create_extension(&mut self, name: &Name, if_not_exists: bool, schema: Option<&Name>, cascade: bool) -> Res<Applied> {
        let name = clip(name.as_str());
        if self.has_extension(&name) || name == "plpgsql" {
            if if_not_exists {
                return Ok(Applied::skipped());
            }
            return Err(fails("42710", format!("extension \"{name}\" already exists")));
        }
        for r in requires(&name) {
            if !self.has_extension(r) {
                if !cascade {
                    if !self.complete {
                        continue;
                    }
                    return Err(fails("42704", format!("required extension \"{r}\" is not installed")));
                }
                let r = super::partitions::made_up(r);
                self.create_extension(&r, true, schema, true)?;
            }
        }
        let schema = match schema {
            Some(s) => self.need_schema(s.as_str())?,
            None => self.effective_path().find(|s| *s != super::resolve::TEMP).unwrap_or("public").to_string(),
        };
        for t in types_of(&name) {
            self.put_extension_type(&schema, t);
        }
        let object = Object {
            kind: ObjectKind::Extension,
            schema: schema.clone(),
            name: name.clone(),
            detail: String::new(),
            relations: Vec::new(),
            columns: Vec::new(),
            origin: self.now,
            comment: None,
        };
        self.objects.insert((ObjectKind::Extension, String::new(), name), Arc::new(object));
        Ok(Applied::default())
    }

    /// A sequence that `nextval` names must be there. A function of an extension that the history does not make is missing, where nothing else of the name is there.
    pub(super) fn need_functions(&self, e: &crate::op::Expr) -> Res<()> {
        let (mut missing, mut no_sequence) = (None, None);
        e.walk(&mut |e| {
            let crate::op::ExprKind::Call(c) = &e.kind else { return };
            if matches!(c.name.as_str(), "nextval" | "currval" | "setval")
                && let Some(name) = c.args.first().and_then(super::exprs::relation_literal)
                && self.resolve(&name).is_none()
            {
                // 16 and later ask without raising an error of their own for the schema.
                let schema = self.no_schema(&name).filter(|_| !self.at_least(16));
                no_sequence = Some(schema.unwrap_or_else(|| self.no_relation(&name)));
            }
            let owner = FUNCTIONS.iter().find(|(_, names)| names.contains(&c.name.as_str())).map(|(x, _)| *x);
            if owner.is_some_and(|x| !self.has_extension(x)) && self.functions_named(&c.name).is_empty() {
                missing = Some(c.name.to_string());
            }
        });
        if let Some(e) = no_sequence.filter(|_| self.complete) {
            return Err(e);
        }
        match missing {
            Some(name) if self.complete && !self.unknown_extension() => Err(fails("42883", format!("function {name}() does not exist"))),
            _ => Ok(()),
        }
    }

    pub(super) fn alter_extension(&mut self, name: &Name) -> Res<Applied> {
        let name = clip(name.as_str());
        if !self.has_extension(&name) && name != "plpgsql" {
            return Err(fails("42704", format!("extension \"{name}\" does not exist")));
        }
        Ok(Applied::default())
    }

    fn extension_types(&self, name: &str) -> Vec<Id> {
        let Some(e) = self.objects.get(&(ObjectKind::Extension, String::new(), name.to_string())) else { return Vec::new() };
        types_of(name).iter().filter_map(|t| self.type_names.get(&(e.schema.as_str(), *t)).copied()).collect()
    }

    /// The extension that the type belongs to.
    pub(super) fn extension_of(&self, ty: Id) -> Option<String> {
        self.objects_of(ObjectKind::Extension).find(|o| self.extension_types(&o.name).contains(&ty)).map(|o| o.name.clone())
    }

    pub(super) fn is_extension_type(&self, id: Id) -> bool {
        self.objects_of(ObjectKind::Extension).any(|e| self.extension_types(&e.name).contains(&id))
    }

    pub(super) fn drop_extension(&mut self, name: &str) -> bool {
        let name = clip(name);
        let types = self.extension_types(&name);
        // Columns of its types fall with it only by CASCADE, which DROP EXTENSION then says; what it owns goes in any case.
        let _ = self.drop_types(types, true);
        self.objects.remove(&(ObjectKind::Extension, String::new(), name)).is_some()
    }

    pub(super) fn move_extension(&mut self, name: &str, schema: &str) {
        let name = clip(name);
        for id in self.extension_types(&name) {
            self.edit_type(id, |t| t.schema = schema.to_string());
        }
        let key = (ObjectKind::Extension, String::new(), name);
        if let Some(old) = self.objects.get(&key).cloned() {
            let mut new = Object::clone(&old);
            new.schema = schema.to_string();
            self.objects.insert(key, Arc::new(new));
        }
    }
}
