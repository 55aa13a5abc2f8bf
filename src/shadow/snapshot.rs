//! A database's catalog as lines of text: by name, in a stable order, without anything that differs between two databases that
//! mean the same (object ids, file numbers, gaps that dropped columns leave).

use std::fmt;

use super::error::ShadowError;
use super::session::Session;
use super::start::Database;

/// One fact about one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    /// `table`, `column`, `column-order`, `constraint`, `index`, …
    pub kind: String,
    /// `schema.table`, `schema.table.column`, … unquoted.
    pub object: String,
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.kind, self.object, self.text.replace('\n', "\n    "))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    pub lines: Vec<Line>,
}

/// A line that only one side has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// It was there and is gone.
    pub removed: bool,
    pub line: Line,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.removed { '-' } else { '+' }, self.line)
    }
}

impl Snapshot {
    /// What is committed in the database now.
    pub fn take(db: &Database) -> Result<Snapshot, ShadowError> {
        Self::with(&mut db.helper()?)
    }

    /// The same through a session that is at hand; its `search_path` is emptied.
    pub fn with(session: &mut Session) -> Result<Snapshot, ShadowError> {
        let err = |e| ShadowError::sql("read the catalog")(e);
        // With an empty path the server qualifies every name in the definitions that it prints.
        session.run("SET search_path = ''").map_err(err)?;
        let number = session.value("SHOW server_version_num").map_err(err)?;
        let version: u32 = number.and_then(|n| n.parse().ok()).unwrap_or_default();
        let mut lines = Vec::new();
        let text = |v: &Option<String>| v.clone().unwrap_or_default();
        for (kind, since, sql) in QUERIES {
            if version < *since {
                continue;
            }
            for row in session.rows(sql).map_err(|e| ShadowError::sql(format!("read the catalog ({kind})"))(e))? {
                if let [object, what] = row.as_slice() {
                    lines.push(Line { kind: (*kind).to_string(), object: text(object), text: text(what) });
                }
            }
        }
        lines.sort();
        Ok(Snapshot { lines })
    }

    /// What is in `other` and not here, and the reverse.
    pub fn changes(&self, other: &Snapshot) -> Vec<Change> {
        let mut out = Vec::new();
        for op in similar::capture_diff_slices(similar::Algorithm::Myers, &self.lines, &other.lines) {
            let (_, old, new) = op.as_tag_tuple();
            if self.lines[old.clone()] == other.lines[new.clone()] {
                continue;
            }
            out.extend(self.lines[old].iter().map(|l| Change { removed: true, line: l.clone() }));
            out.extend(other.lines[new].iter().map(|l| Change { removed: false, line: l.clone() }));
        }
        out
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|l| writeln!(f, "{l}"))
    }
}

/// Schemas that are the user's, and objects that do not belong to an extension.
macro_rules! user {
    ($schema:literal, $class:literal, $oid:literal) => {
        concat!(
            $schema,
            " !~ '^pg_' AND ",
            $schema,
            " <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.",
            $class,
            "'::pg_catalog.regclass AND e.objid = ",
            $oid,
            " AND e.deptype = 'e')"
        )
    };
}

/// Privileges as sorted words; what was never granted is what the owner has by default.
macro_rules! acl {
    ($acl:literal, $kind:literal, $owner:literal) => {
        concat!(
            "(SELECT pg_catalog.string_agg(CASE WHEN x.grantee = 0 THEN 'public' ELSE pg_catalog.pg_get_userbyid(x.grantee) END || ' ' || ",
            "x.privilege_type || CASE WHEN x.is_grantable THEN '*' ELSE '' END, ', ' ORDER BY x.grantee, x.privilege_type) FROM pg_catalog.aclexplode(coalesce(",
            $acl,
            ", pg_catalog.acldefault('",
            $kind,
            "', ",
            $owner,
            "))) x)"
        )
    };
}

/// Kind, first server version that has it, query for (object, text).
const QUERIES: &[(&str, u32, &str)] = &[
    (
        "schema",
        0,
        concat!(
            "SELECT n.nspname, 'owner ' || pg_catalog.pg_get_userbyid(n.nspowner) || ' privileges ' || coalesce(",
            acl!("n.nspacl", "n", "n.nspowner"),
            ", '') FROM pg_catalog.pg_namespace n WHERE ",
            user!("n.nspname", "pg_namespace", "n.oid")
        ),
    ),
    (
        "relation",
        0,
        concat!(
            "SELECT n.nspname || '.' || c.relname, pg_catalog.concat_ws(' ', CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN ",
            "'partitioned table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' WHEN 'c' THEN ",
            "'composite type' WHEN 'f' THEN 'foreign table' END, 'owner ' || pg_catalog.pg_get_userbyid(c.relowner), ",
            "CASE c.relpersistence WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' END, ",
            "CASE WHEN c.relrowsecurity THEN 'row security' END, CASE WHEN c.relforcerowsecurity THEN 'forced row security' END, ",
            "CASE c.relreplident WHEN 'n' THEN 'replica identity nothing' WHEN 'f' THEN 'replica identity full' WHEN 'i' THEN ",
            "'replica identity index' END, 'options ' || nullif(pg_catalog.array_to_string(c.reloptions, ', '), ''), ",
            "'access method ' || (SELECT amname FROM pg_catalog.pg_am a WHERE a.oid = c.relam AND a.amname <> 'heap'), ",
            "'tablespace ' || (SELECT spcname FROM pg_catalog.pg_tablespace t WHERE t.oid = c.reltablespace), ",
            "'partition by ' || pg_catalog.pg_get_partkeydef(c.oid), 'partition ' || pg_catalog.pg_get_expr(c.relpartbound, c.oid), ",
            "'inherits ' || (SELECT pg_catalog.string_agg(i.inhparent::pg_catalog.regclass::text, ', ' ORDER BY i.inhseqno) ",
            "FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid), ",
            "'of ' || CASE WHEN c.reloftype <> 0 THEN c.reloftype::pg_catalog.regtype::text END, ",
            "CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN 'not populated' END) ",
            "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ",
            "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'c', 'f') AND ",
            user!("n.nspname", "pg_class", "c.oid")
        ),
    ),
    (
        "column-order",
        0,
        concat!(
            "SELECT n.nspname || '.' || c.relname, (SELECT pg_catalog.string_agg(a.attname, ', ' ORDER BY a.attnum) ",
            "FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) ",
            "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ",
            "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'c', 'f') AND ",
            user!("n.nspname", "pg_class", "c.oid")
        ),
    ),
    (
        "column",
        0,
        concat!(
            "SELECT n.nspname || '.' || c.relname || '.' || a.attname, pg_catalog.concat_ws(' ', ",
            "pg_catalog.format_type(a.atttypid, a.atttypmod), ",
            "CASE WHEN a.attcollation <> t.typcollation THEN 'collate ' || a.attcollation::pg_catalog.regcollation::text END, ",
            "CASE WHEN a.attnotnull THEN 'not null' END, ",
            "CASE WHEN a.attgenerated = '' THEN 'default ' ELSE 'generated ' || a.attgenerated::text || ' ' END || ",
            "pg_catalog.pg_get_expr(d.adbin, d.adrelid), ",
            "CASE a.attidentity WHEN 'a' THEN 'identity always' WHEN 'd' THEN 'identity by default' END, ",
            "CASE WHEN a.attstorage <> t.typstorage THEN 'storage ' || a.attstorage::text END, ",
            "'compression ' || nullif(a.attcompression::text, ''), 'statistics ' || nullif(a.attstattarget, -1), ",
            "'options ' || pg_catalog.array_to_string(a.attoptions, ', '), ",
            "CASE WHEN NOT a.attislocal THEN 'inherited' END, 'privileges ' || CASE WHEN a.attacl IS NOT NULL THEN ",
            acl!("a.attacl", "c", "c.relowner"),
            " END) FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid ",
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid ",
            "LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum ",
            "WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'c', 'f') AND ",
            user!("n.nspname", "pg_class", "c.oid")
        ),
    ),
    (
        "constraint",
        0,
        concat!(
            "SELECT n.nspname || '.' || coalesce(c.relname, t.typname) || '.' || k.conname, pg_catalog.concat_ws(' ', ",
            "pg_catalog.pg_get_constraintdef(k.oid), CASE WHEN NOT k.conislocal THEN 'inherited' END, ",
            "CASE WHEN NOT k.convalidated THEN 'not validated' END) ",
            "FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace ",
            "LEFT JOIN pg_catalog.pg_class c ON c.oid = k.conrelid LEFT JOIN pg_catalog.pg_type t ON t.oid = k.contypid ",
            "WHERE k.contype <> 't' AND ",
            user!("n.nspname", "pg_class", "k.conrelid"),
            " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND ",
            "e.objid = k.contypid AND e.deptype = 'e')"
        ),
    ),
    (
        "index",
        0,
        concat!(
            "SELECT n.nspname || '.' || c.relname, pg_catalog.concat_ws(' ', pg_catalog.pg_get_indexdef(c.oid), ",
            "CASE WHEN NOT i.indisvalid THEN 'invalid' END, CASE WHEN NOT i.indisready THEN 'not ready' END, ",
            "CASE WHEN i.indisclustered THEN 'clustered' END, CASE WHEN i.indisreplident THEN 'replica identity' END, ",
            "CASE WHEN i.indisprimary THEN 'primary' END, CASE WHEN NOT i.indimmediate THEN 'deferrable' END, ",
            "'tablespace ' || (SELECT spcname FROM pg_catalog.pg_tablespace t WHERE t.oid = c.reltablespace), ",
            "'statistics ' || (SELECT pg_catalog.string_agg(a.attnum || '=' || a.attstattarget, ', ' ORDER BY a.attnum) ",
            "FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0), ",
            "'part of ' || (SELECT h.inhparent::pg_catalog.regclass::text FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid)) ",
            "FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid ",
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE ",
            user!("n.nspname", "pg_class", "i.indrelid")
        ),
    ),
    (
        "view-definition",
        0,
        concat!(
            "SELECT n.nspname || '.' || c.relname, pg_catalog.pg_get_viewdef(c.oid) FROM pg_catalog.pg_class c ",
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') AND ",
            user!("n.nspname", "pg_class", "c.oid")
        ),
    ),
    (
        "sequence",
        0,
        concat!(
            "SELECT n.nspname || '.' || c.relname, pg_catalog.concat_ws(' ', s.seqtypid::pg_catalog.regtype, 'start', s.seqstart, ",
            "'increment', s.seqincrement, 'min', s.seqmin, 'max', s.seqmax, 'cache', s.seqcache, CASE WHEN s.seqcycle THEN 'cycle' END, ",
            "(SELECT CASE d.deptype WHEN 'i' THEN 'identity of ' ELSE 'owned by ' END || d.refobjid::pg_catalog.regclass || '.' || a.attname ",
            "FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid ",
            "WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND ",
            "d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i'))) ",
            "FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid ",
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE ",
            user!("n.nspname", "pg_class", "c.oid")
        ),
    ),
    (
        "trigger",
        0,
        concat!(
            "SELECT n.nspname || '.' || c.relname || '.' || t.tgname, pg_catalog.pg_get_triggerdef(t.oid) || ' enabled ' || t.tgenabled::text ",
            "FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid ",
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND ",
            user!("n.nspname", "pg_class", "c.oid")
        ),
    ),
    (
        "rule",
        0,
        concat!(
            "SELECT n.nspname || '.' || c.relname || '.' || r.rulename, pg_catalog.pg_get_ruledef(r.oid) || ' enabled ' || r.ev_enabled::text ",
            "FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class ",
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE r.rulename <> '_RETURN' AND ",
            user!("n.nspname", "pg_class", "c.oid")
        ),
    ),
    (
        "policy",
        0,
        concat!(
            "SELECT n.nspname || '.' || c.relname || '.' || p.polname, pg_catalog.concat_ws(' ', ",
            "CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END, 'for', p.polcmd, 'to', ",
            "(SELECT pg_catalog.string_agg(CASE WHEN r = 0 THEN 'public' ELSE pg_catalog.pg_get_userbyid(r) END, ', ' ORDER BY r) ",
            "FROM pg_catalog.unnest(p.polroles) r), 'using ' || pg_catalog.pg_get_expr(p.polqual, p.polrelid), ",
            "'with check ' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)) FROM pg_catalog.pg_policy p ",
            "JOIN pg_catalog.pg_class c ON c.oid = p.polrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE ",
            user!("n.nspname", "pg_class", "c.oid")
        ),
    ),
    (
        "privileges",
        0,
        concat!(
            "SELECT n.nspname || '.' || c.relname, CASE WHEN c.relkind = 'S' THEN ",
            acl!("c.relacl", "s", "c.relowner"),
            " ELSE ",
            acl!("c.relacl", "r", "c.relowner"),
            " END FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ",
            "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND ",
            user!("n.nspname", "pg_class", "c.oid")
        ),
    ),
    (
        "comment",
        0,
        "SELECT i.type || ' ' || i.identity, d.description FROM pg_catalog.pg_description d, \
         LATERAL pg_catalog.pg_identify_object(d.classoid, d.objoid, d.objsubid) i \
         WHERE d.objoid >= 16384 AND (i.schema IS NULL OR i.schema !~ '^pg_') AND i.type NOT IN ('extension', 'role') \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = d.classoid AND e.objid = d.objoid AND e.deptype = 'e')",
    ),
    (
        "enum",
        0,
        concat!(
            "SELECT n.nspname || '.' || t.typname, (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), ', ' ",
            "ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid) FROM pg_catalog.pg_type t ",
            "JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'e' AND ",
            user!("n.nspname", "pg_type", "t.oid")
        ),
    ),
    (
        "type",
        0,
        concat!(
            "SELECT n.nspname || '.' || t.typname, pg_catalog.concat_ws(' ', t.typtype, 'owner', pg_catalog.pg_get_userbyid(t.typowner), ",
            "CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END, ",
            "CASE WHEN t.typnotnull THEN 'not null' END, 'default ' || t.typdefault, ",
            "'range of ' || (SELECT r.rngsubtype::pg_catalog.regtype::text FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid), ",
            "'privileges', ",
            acl!("t.typacl", "T", "t.typowner"),
            ") FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace ",
            "WHERE t.typtype IN ('e', 'd', 'r', 'b') AND t.typelem = 0 AND ",
            user!("n.nspname", "pg_type", "t.oid")
        ),
    ),
    (
        "function",
        0,
        concat!(
            "SELECT n.nspname || '.' || p.proname || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')', ",
            "pg_catalog.concat_ws(' ', CASE WHEN p.prokind IN ('f', 'p', 'w') THEN pg_catalog.pg_get_functiondef(p.oid) ELSE 'aggregate' END, ",
            "'owner', pg_catalog.pg_get_userbyid(p.proowner), 'privileges', ",
            acl!("p.proacl", "f", "p.proowner"),
            ") FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE ",
            user!("n.nspname", "pg_proc", "p.oid")
        ),
    ),
    (
        "statistics",
        0,
        concat!(
            "SELECT n.nspname || '.' || s.stxname, pg_catalog.pg_get_statisticsobjdef(s.oid) || ",
            "coalesce(' target ' || nullif(s.stxstattarget, -1), '') FROM pg_catalog.pg_statistic_ext s ",
            "JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace WHERE ",
            user!("n.nspname", "pg_statistic_ext", "s.oid")
        ),
    ),
    (
        "publication",
        0,
        "SELECT p.pubname, pg_catalog.concat_ws(' ', CASE WHEN p.puballtables THEN 'all tables' END, p.pubinsert, p.pubupdate, p.pubdelete, \
         p.pubtruncate, p.pubviaroot) FROM pg_catalog.pg_publication p",
    ),
    (
        "publication-table",
        0,
        "SELECT t.pubname || ' ' || t.schemaname || '.' || t.tablename, pg_catalog.to_jsonb(t)::text FROM pg_catalog.pg_publication_tables t \
         JOIN pg_catalog.pg_publication p USING (pubname) WHERE NOT p.puballtables",
    ),
    (
        "publication-schema",
        150_000,
        "SELECT p.pubname || ' ' || n.nspname, '' FROM pg_catalog.pg_publication_namespace s \
         JOIN pg_catalog.pg_publication p ON p.oid = s.pnpubid JOIN pg_catalog.pg_namespace n ON n.oid = s.pnnspid",
    ),
    (
        "extension",
        0,
        "SELECT e.extname, e.extversion || ' in ' || n.nspname FROM pg_catalog.pg_extension e \
         JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql'",
    ),
    (
        "default-privileges",
        0,
        "SELECT pg_catalog.pg_get_userbyid(d.defaclrole) || ' ' || coalesce((SELECT nspname FROM pg_catalog.pg_namespace n \
         WHERE n.oid = d.defaclnamespace), '') || ' ' || d.defaclobjtype::text, d.defaclacl::text FROM pg_catalog.pg_default_acl d",
    ),
    (
        "event-trigger",
        0,
        "SELECT e.evtname, pg_catalog.concat_ws(' ', e.evtevent, e.evtfoid::pg_catalog.regproc, e.evtenabled, e.evttags) \
         FROM pg_catalog.pg_event_trigger e",
    ),
    (
        "cast",
        0,
        "SELECT c.castsource::pg_catalog.regtype || ' as ' || c.casttarget::pg_catalog.regtype, \
         pg_catalog.concat_ws(' ', c.castcontext, c.castmethod, c.castfunc::pg_catalog.regprocedure) FROM pg_catalog.pg_cast c \
         WHERE c.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e \
         WHERE e.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass AND e.objid = c.oid AND e.deptype = 'e')",
    ),
    (
        "operator",
        0,
        concat!(
            "SELECT o.oid::pg_catalog.regoperator::text, o.oprcode::pg_catalog.regprocedure::text FROM pg_catalog.pg_operator o ",
            "JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace WHERE ",
            user!("n.nspname", "pg_operator", "o.oid")
        ),
    ),
    (
        "collation",
        0,
        concat!(
            "SELECT n.nspname || '.' || c.collname, pg_catalog.concat_ws(' ', c.collprovider, c.collcollate, c.collctype) ",
            "FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace WHERE ",
            user!("n.nspname", "pg_collation", "c.oid")
        ),
    ),
    (
        "foreign-server",
        0,
        "SELECT s.srvname, pg_catalog.concat_ws(' ', w.fdwname, s.srvoptions) FROM pg_catalog.pg_foreign_server s \
         JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw",
    ),
];
