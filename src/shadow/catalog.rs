//! A server's own catalog, read into the same type into which `crate::catalog` puts what it has replayed.

use std::collections::HashMap;

use serde::de::DeserializeOwned;

use crate::catalog::{Dump, DumpTable};

use super::error::ShadowError;
use super::session::Session;
use super::start::Database;

/// Everything in the database that is not the system's and not an extension's.
pub fn read(db: &Database) -> Result<Dump, ShadowError> {
    read_with(&mut db.helper()?)
}

/// The same through a session that is at hand; its `search_path` is emptied.
pub fn read_with(session: &mut Session) -> Result<Dump, ShadowError> {
    // With an empty path the server qualifies every name in the expressions that it prints.
    session.run("SET search_path = ''").map_err(ShadowError::sql("read the catalog"))?;
    let number = session.value("SHOW server_version_num").map_err(ShadowError::sql("read the catalog"))?;
    let version: u32 = number.and_then(|n| n.parse().ok()).unwrap_or_default();
    let mut reader = Reader { session, version };
    let mut tables: Vec<(String, DumpTable)> = reader.keyed(&tables_sql())?;
    let at: HashMap<String, usize> = tables.iter().enumerate().map(|(i, (oid, _))| (oid.clone(), i)).collect();
    for (oid, c) in reader.keyed(&columns_sql("'r', 'p', 'f', 'v', 'm'"))? {
        if let Some(n) = at.get(&oid) {
            tables[*n].1.columns.push(c);
        }
    }
    for (oid, c) in reader.keyed(&constraints_sql(version))? {
        if let Some(n) = at.get(&oid) {
            tables[*n].1.constraints.push(c);
        }
    }
    for (oid, i) in reader.keyed(&indexes_sql(version))? {
        if let Some(n) = at.get(&oid) {
            tables[*n].1.indexes.push(i);
        }
    }
    for (oid, g) in reader.keyed(&triggers_sql())? {
        if let Some(n) = at.get(&oid) {
            tables[*n].1.triggers.push(g);
        }
    }
    for (oid, p) in reader.keyed(POLICIES)? {
        if let Some(n) = at.get(&oid) {
            tables[*n].1.policies.push(p);
        }
    }
    for (oid, r) in reader.keyed(RULES)? {
        if let Some(n) = at.get(&oid) {
            tables[*n].1.rules.push(r);
        }
    }
    let mut composites: Vec<(String, crate::catalog::DumpType)> = reader.keyed(&composites_sql())?;
    for (oid, c) in reader.keyed(&columns_sql("'c'"))? {
        if let Some((_, t)) = composites.iter_mut().find(|(o, _)| *o == oid) {
            t.columns.push(c);
        }
    }
    let mut types: Vec<crate::catalog::DumpType> = composites.into_iter().map(|(_, t)| t).collect();
    types.extend(reader.plain(&other_types_sql())?);
    types.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    let (views, tables) = tables.into_iter().map(|(_, t)| t).partition(|t: &DumpTable| t.kind.ends_with("view"));
    Ok(Dump {
        schema_version: 1,
        postgres: (version / 10_000) as u8,
        complete: true,
        migrations: Vec::new(),
        schemas: reader.plain(&schemas_sql())?,
        extensions: reader.plain(EXTENSIONS)?,
        enums: reader.plain(&enums_sql())?,
        domains: reader.plain(&domains_sql())?,
        types,
        tables,
        views,
        sequences: reader.plain(&sequences_sql())?,
        functions: reader.plain(&functions_sql())?,
    })
}

struct Reader<'a> {
    session: &'a mut Session,
    version: u32,
}

impl Reader<'_> {
    /// Rows of one column of JSON, each of them one value.
    fn plain<T: DeserializeOwned>(&mut self, sql: &str) -> Result<Vec<T>, ShadowError> {
        let rows = self.session.rows(sql).map_err(ShadowError::sql("read the catalog"))?;
        rows.iter().map(|r| self.parse(r.first())).collect()
    }

    /// The same behind the object id of the relation that it belongs to.
    fn keyed<T: DeserializeOwned>(&mut self, sql: &str) -> Result<Vec<(String, T)>, ShadowError> {
        let rows = self.session.rows(sql).map_err(ShadowError::sql("read the catalog"))?;
        rows.iter().map(|r| Ok((r.first().cloned().flatten().unwrap_or_default(), self.parse(r.get(1))?))).collect()
    }

    fn parse<T: DeserializeOwned>(&self, cell: Option<&Option<String>>) -> Result<T, ShadowError> {
        let text = cell.and_then(|c| c.as_deref()).unwrap_or("null");
        serde_json::from_str(text).map_err(|e| ShadowError::Unreadable { version: self.version, what: e.to_string() })
    }
}

/// Schemas that are the user's, and objects that do not belong to an extension.
fn user(class: &str, oid: &str) -> String {
    format!(
        "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e \
         WHERE e.classid = 'pg_catalog.{class}'::pg_catalog.regclass AND e.objid = {oid} AND e.deptype = 'e')"
    )
}

/// Privileges of everybody but the owner. `kind` as `acldefault` has it; `None`: there is no default.
fn grants(acl: &str, kind: Option<&str>, owner: &str) -> String {
    let acl = match kind {
        Some(k) => format!("coalesce({acl}, pg_catalog.acldefault('{k}', {owner}))"),
        None => acl.to_string(),
    };
    format!(
        "(SELECT coalesce(pg_catalog.json_agg(g), '[]') FROM (SELECT CASE WHEN x.grantee = 0 THEN 'public' \
         ELSE pg_catalog.pg_get_userbyid(x.grantee) END AS grantee, \
         pg_catalog.json_agg(x.privilege_type ORDER BY x.privilege_type) AS privileges, \
         coalesce(pg_catalog.json_agg(x.privilege_type ORDER BY x.privilege_type) FILTER (WHERE x.is_grantable), '[]') AS grantable \
         FROM pg_catalog.aclexplode({acl}) x WHERE x.grantee <> {owner} GROUP BY 1 ORDER BY 1) g)"
    )
}

/// A type as `format_type` prints it, without quotes, and with the schema of what is not the system's.
fn type_name(oid: &str, modifier: &str) -> String {
    format!(
        "(SELECT CASE WHEN yn.nspname = 'pg_catalog' THEN pg_catalog.format_type({oid}, {modifier}) ELSE yn.nspname || '.' || yb.typname || \
         coalesce(pg_catalog.substring(pg_catalog.format_type({oid}, {modifier}), '\\(.*\\)'), '') || \
         CASE WHEN y.oid <> yb.oid THEN '[]' ELSE '' END END FROM pg_catalog.pg_type y JOIN pg_catalog.pg_type yb ON yb.oid = \
         CASE WHEN y.typcategory = 'A' AND y.typelem <> 0 AND pg_catalog.left(y.typname::text, 1) = '_' THEN y.typelem ELSE y.oid END \
         JOIN pg_catalog.pg_namespace yn ON yn.oid = yb.typnamespace WHERE y.oid = {oid})"
    )
}

fn schemas_sql() -> String {
    format!(
        "SELECT pg_catalog.json_build_object('name', n.nspname, 'owner', pg_catalog.pg_get_userbyid(n.nspowner), 'grants', {}, \
         'comment', pg_catalog.obj_description(n.oid, 'pg_namespace')) FROM pg_catalog.pg_namespace n WHERE {} ORDER BY n.nspname",
        grants("n.nspacl", Some("n"), "n.nspowner"),
        user("pg_namespace", "n.oid")
    )
}

const EXTENSIONS: &str = "SELECT pg_catalog.json_build_object('name', e.extname, 'schema', n.nspname) FROM pg_catalog.pg_extension e \
     JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql' ORDER BY e.extname";

fn enums_sql() -> String {
    format!(
        "SELECT pg_catalog.json_build_object('schema', n.nspname, 'name', t.typname, 'labels', (SELECT coalesce(pg_catalog.json_agg(\
         e.enumlabel ORDER BY e.enumsortorder), '[]') FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid), \
         'owner', pg_catalog.pg_get_userbyid(t.typowner), 'grants', {}, 'comment', pg_catalog.obj_description(t.oid, 'pg_type')) \
         FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'e' AND {} \
         ORDER BY n.nspname, t.typname",
        grants("t.typacl", Some("T"), "t.typowner"),
        user("pg_type", "t.oid")
    )
}

fn domains_sql() -> String {
    format!(
        "SELECT pg_catalog.json_build_object('schema', n.nspname, 'name', t.typname, 'type', {}, 'not_null', t.typnotnull, \
         'default', t.typdefault, 'checks', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', k.conname, \
         'validated', k.convalidated, 'definition', pg_catalog.pg_get_constraintdef(k.oid), \
         'comment', pg_catalog.obj_description(k.oid, 'pg_constraint')) ORDER BY k.conname), '[]') \
         FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'), \
         'owner', pg_catalog.pg_get_userbyid(t.typowner), 'grants', {}, 'comment', pg_catalog.obj_description(t.oid, 'pg_type')) \
         FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'd' AND {} \
         ORDER BY n.nspname, t.typname",
        type_name("t.typbasetype", "t.typtypmod"),
        grants("t.typacl", Some("T"), "t.typowner"),
        user("pg_type", "t.oid")
    )
}

fn composites_sql() -> String {
    format!(
        "SELECT c.oid, pg_catalog.json_build_object('schema', n.nspname, 'name', c.relname, 'kind', 'composite', 'columns', '[]'::json, \
         'owner', pg_catalog.pg_get_userbyid(c.relowner), 'grants', {}, 'comment', pg_catalog.obj_description(t.oid, 'pg_type')) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_type t ON t.oid = c.reltype WHERE c.relkind = 'c' AND {}",
        grants("t.typacl", Some("T"), "t.typowner"),
        user("pg_type", "t.oid")
    )
}

/// Ranges and base types; arrays and multiranges come with their element.
fn other_types_sql() -> String {
    format!(
        "SELECT pg_catalog.json_build_object('schema', n.nspname, 'name', t.typname, 'kind', CASE t.typtype WHEN 'r' THEN 'range' \
         ELSE 'base' END, 'columns', '[]'::json, 'owner', pg_catalog.pg_get_userbyid(t.typowner), 'grants', {}, \
         'comment', pg_catalog.obj_description(t.oid, 'pg_type')) FROM pg_catalog.pg_type t \
         JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE (t.typtype = 'r' OR t.typtype = 'b' AND t.typcategory <> 'A' \
         OR t.typtype = 'p' AND NOT t.typisdefined) AND {}",
        grants("t.typacl", Some("T"), "t.typowner"),
        user("pg_type", "t.oid")
    )
}

fn tables_sql() -> String {
    format!(
        "SELECT c.oid, pg_catalog.json_build_object('schema', n.nspname, 'name', c.relname, 'kind', CASE c.relkind WHEN 'r' THEN 'table' \
         WHEN 'p' THEN 'partitioned_table' WHEN 'f' THEN 'foreign_table' WHEN 'v' THEN 'view' ELSE 'materialized_view' END, \
         'persistence', CASE c.relpersistence WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' ELSE 'permanent' END, \
         'columns', '[]'::json, 'constraints', '[]'::json, 'indexes', '[]'::json, 'triggers', '[]'::json, 'policies', '[]'::json, \
         'rules', '[]'::json, 'row_security', c.relrowsecurity, 'force_row_security', c.relforcerowsecurity, \
         'parents', (SELECT coalesce(pg_catalog.json_agg(pn.nspname || '.' || p.relname ORDER BY i.inhseqno), '[]') \
         FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent \
         JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid), 'partition', c.relispartition, \
         'partition_by', (SELECT CASE k.partstrat WHEN 'r' THEN 'range' WHEN 'l' THEN 'list' ELSE 'hash' END \
         FROM pg_catalog.pg_partitioned_table k WHERE k.partrelid = c.oid), 'owner', pg_catalog.pg_get_userbyid(c.relowner), \
         'grants', {}, 'comment', pg_catalog.obj_description(c.oid, 'pg_class'), \
         'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND {} ORDER BY n.nspname, c.relname",
        grants("c.relacl", Some("r"), "c.relowner"),
        user("pg_class", "c.oid")
    )
}

fn columns_sql(kinds: &str) -> String {
    format!(
        "SELECT c.oid, pg_catalog.json_build_object('name', a.attname, 'type', {}, 'not_null', a.attnotnull, \
         'default', CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END, \
         'identity', CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END, \
         'generated', CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END, \
         'generated_kind', CASE a.attgenerated WHEN 's' THEN 'stored' WHEN 'v' THEN 'virtual' END, \
         'collation', CASE WHEN a.attcollation <> t.typcollation THEN (SELECT CASE WHEN ln.nspname = 'pg_catalog' THEN '' ELSE \
         ln.nspname || '.' END || l.collname FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace ln ON ln.oid = l.collnamespace \
         WHERE l.oid = a.attcollation) END, 'inherited', NOT a.attislocal, 'grants', {}, \
         'comment', pg_catalog.col_description(c.oid, a.attnum)) FROM pg_catalog.pg_attribute a \
         JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ({kinds}) AND c.oid >= 16384 ORDER BY c.oid, a.attnum",
        type_name("a.atttypid", "a.atttypmod"),
        grants("a.attacl", None, "c.relowner"),
    )
}

fn constraints_sql(version: u32) -> String {
    let enforced = if version >= 180_000 { "k.conenforced" } else { "true" };
    let action = |column: &str| {
        format!(
            "CASE WHEN k.contype = 'f' THEN CASE k.{column} WHEN 'a' THEN 'no action' WHEN 'r' THEN 'restrict' WHEN 'c' THEN 'cascade' \
             WHEN 'n' THEN 'set null' ELSE 'set default' END END"
        )
    };
    let names = |table: &str, keys: &str| {
        format!(
            "(SELECT coalesce(pg_catalog.json_agg(a.attname ORDER BY o.n), '[]') FROM pg_catalog.unnest({keys}) WITH ORDINALITY o(k, n) \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = {table} AND a.attnum = o.k)"
        )
    };
    format!(
        "SELECT k.conrelid, pg_catalog.json_build_object('name', k.conname, 'kind', CASE k.contype WHEN 'c' THEN 'check' WHEN 'f' THEN \
         'foreign key' WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'x' THEN 'exclude' ELSE 'not null' END, 'columns', {}, \
         'references', (SELECT rn.nspname || '.' || r.relname FROM pg_catalog.pg_class r \
         JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace WHERE r.oid = k.confrelid), 'referenced_columns', {}, \
         'on_delete', {}, 'on_update', {}, 'validated', k.convalidated, 'enforced', {enforced}, 'deferrable', k.condeferrable, \
         'initially_deferred', k.condeferred, 'no_inherit', k.connoinherit AND k.contype IN ('c', 'n'), 'inherited', NOT k.conislocal, \
         'definition', pg_catalog.pg_get_constraintdef(k.oid), 'comment', pg_catalog.obj_description(k.oid, 'pg_constraint')) \
         FROM pg_catalog.pg_constraint k WHERE k.conrelid >= 16384 AND k.contype IN ('c', 'f', 'p', 'u', 'x', 'n') \
         AND NOT (k.contype = 'f' AND EXISTS (SELECT FROM pg_catalog.pg_constraint up WHERE up.oid = k.conparentid \
         AND up.conrelid = k.conrelid)) ORDER BY k.conrelid, k.oid",
        names("k.conrelid", "k.conkey"),
        names("k.confrelid", "k.confkey"),
        action("confdeltype"),
        action("confupdtype"),
    )
}

fn indexes_sql(version: u32) -> String {
    let nulls = if version >= 150_000 { "i.indnullsnotdistinct" } else { "false" };
    format!(
        "SELECT i.indrelid, pg_catalog.json_build_object('name', c.relname, 'unique', i.indisunique, 'primary', i.indisprimary, \
         'valid', i.indisvalid, 'method', m.amname, 'columns', (SELECT pg_catalog.json_agg(a.attname ORDER BY o.n) \
         FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY o(k, n) LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid \
         AND a.attnum = o.k AND o.k <> 0 WHERE o.n <= i.indnkeyatts), 'include', (SELECT coalesce(pg_catalog.json_agg(a.attname \
         ORDER BY o.n), '[]') FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY o(k, n) JOIN pg_catalog.pg_attribute a \
         ON a.attrelid = i.indrelid AND a.attnum = o.k WHERE o.n > i.indnkeyatts), \
         'predicate', pg_catalog.pg_get_expr(i.indpred, i.indrelid), 'nulls_not_distinct', {nulls}, \
         'constraint', EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')), \
         'parent', (SELECT pn.nspname || '.' || p.relname FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_class p ON p.oid = h.inhparent \
         JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace WHERE h.inhrelid = c.oid), \
         'comment', pg_catalog.obj_description(c.oid, 'pg_class')) FROM pg_catalog.pg_index i \
         JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = c.relam \
         WHERE i.indrelid >= 16384 ORDER BY c.relname"
    )
}

/// Triggers that copies of a partitioned table's are count as internal before 15; those of foreign keys always do.
fn triggers_sql() -> String {
    "SELECT t.tgrelid, pg_catalog.json_build_object('name', t.tgname, 'function', fn.nspname || '.' || f.proname, \
     'timing', CASE WHEN t.tgtype & 64 <> 0 THEN 'INSTEAD OF' WHEN t.tgtype & 2 <> 0 THEN 'BEFORE' ELSE 'AFTER' END, \
     'events', (SELECT pg_catalog.json_agg(w ORDER BY w) FROM (VALUES (4, 'INSERT'), (8, 'DELETE'), (16, 'UPDATE'), (32, 'TRUNCATE')) \
     v(bit, w) WHERE t.tgtype & v.bit <> 0), 'update_of', (SELECT coalesce(pg_catalog.json_agg(a.attname ORDER BY a.attname), '[]') \
     FROM pg_catalog.unnest(t.tgattr) k JOIN pg_catalog.pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum = k), \
     'for_each_row', t.tgtype & 1 <> 0, 'constraint', t.tgconstraint <> 0, 'inherited', t.tgparentid <> 0, \
     'enabled', CASE t.tgenabled WHEN 'O' THEN 'origin' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' ELSE 'disabled' END, \
     'condition', CASE WHEN t.tgqual IS NOT NULL THEN pg_catalog.pg_get_triggerdef(t.oid) END, \
     'comment', pg_catalog.obj_description(t.oid, 'pg_trigger')) FROM pg_catalog.pg_trigger t \
     JOIN pg_catalog.pg_proc f ON f.oid = t.tgfoid JOIN pg_catalog.pg_namespace fn ON fn.oid = f.pronamespace \
     WHERE (NOT t.tgisinternal OR t.tgparentid <> 0 AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.oid = t.tgconstraint \
     AND k.contype <> 't')) AND t.tgrelid >= 16384 ORDER BY t.tgrelid, t.tgname"
        .to_string()
}

const POLICIES: &str = "SELECT p.polrelid, pg_catalog.json_build_object('name', p.polname, 'command', CASE p.polcmd WHEN 'r' THEN 'SELECT' \
     WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END, 'permissive', p.polpermissive, \
     'roles', (SELECT pg_catalog.json_agg(w ORDER BY w) FROM (SELECT CASE WHEN r = 0 THEN 'public' ELSE pg_catalog.pg_get_userbyid(r)::text \
     END AS w FROM pg_catalog.unnest(p.polroles) r) x), 'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid), \
     'with_check', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), 'comment', pg_catalog.obj_description(p.oid, 'pg_policy')) \
     FROM pg_catalog.pg_policy p ORDER BY p.polrelid, p.polname";

const RULES: &str = "SELECT r.ev_class, pg_catalog.json_build_object('name', r.rulename, 'event', CASE r.ev_type WHEN '1' THEN 'SELECT' \
     WHEN '2' THEN 'UPDATE' WHEN '3' THEN 'INSERT' ELSE 'DELETE' END, 'instead', r.is_instead, 'enabled', CASE r.ev_enabled \
     WHEN 'O' THEN 'origin' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' ELSE 'disabled' END, \
     'comment', pg_catalog.obj_description(r.oid, 'pg_rewrite')) FROM pg_catalog.pg_rewrite r \
     WHERE r.rulename <> '_RETURN' AND r.ev_class >= 16384 ORDER BY r.ev_class, r.rulename";

fn sequences_sql() -> String {
    format!(
        "SELECT pg_catalog.json_build_object('schema', n.nspname, 'name', c.relname, 'data_type', pg_catalog.format_type(s.seqtypid, NULL), \
         'owned_by', o.name, 'identity', coalesce(o.identity, false), 'owner', pg_catalog.pg_get_userbyid(c.relowner), 'grants', {}, \
         'comment', pg_catalog.obj_description(c.oid, 'pg_class')) FROM pg_catalog.pg_sequence s \
         JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN LATERAL (SELECT tn.nspname || '.' || t.relname || '.' || a.attname AS name, d.deptype = 'i' AS identity \
         FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class t ON t.oid = d.refobjid \
         JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid \
         AND a.attnum = d.refobjsubid WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND \
         d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')) o ON true WHERE {} \
         ORDER BY n.nspname, c.relname",
        grants("c.relacl", Some("s"), "c.relowner"),
        user("pg_class", "c.oid")
    )
}

fn functions_sql() -> String {
    format!(
        "SELECT pg_catalog.json_build_object('schema', n.nspname, 'name', p.proname, 'kind', CASE p.prokind WHEN 'p' THEN 'procedure' \
         WHEN 'a' THEN 'aggregate' ELSE 'function' END, 'arguments', (SELECT coalesce(pg_catalog.json_agg({} ORDER BY o.n), '[]') \
         FROM pg_catalog.unnest(p.proargtypes) WITH ORDINALITY o(t, n)), 'returns', coalesce({}, 'void'), \
         'volatility', CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END, 'language', l.lanname, \
         'security_definer', p.prosecdef, 'owner', pg_catalog.pg_get_userbyid(p.proowner), 'grants', {}, \
         'comment', pg_catalog.obj_description(p.oid, 'pg_proc')) FROM pg_catalog.pg_proc p \
         JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_language l ON l.oid = p.prolang WHERE {} \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass \
         AND d.objid = p.oid AND d.deptype = 'i') ORDER BY n.nspname, p.proname",
        type_name("o.t", "NULL"),
        type_name("p.prorettype", "NULL"),
        grants("p.proacl", Some("f"), "p.proowner"),
        user("pg_proc", "p.oid")
    )
}
