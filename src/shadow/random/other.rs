//! Random statements of every other kind, and the draw among all kinds.

use crate::catalog::{RelKind, TypeKind};
use crate::op::ObjectKind;
use crate::quote::{ident, literal, qualified};

use super::pick::Gen;

type Draw = for<'a, 'c> fn(&'a mut Gen<'c>) -> Option<String>;

/// Kinds of statements with their weights: first while a schema is being made, then while it is being changed.
const KINDS: &[(u32, u32, Draw)] = &[
    (30, 8, |g| g.create_table()),
    (12, 9, |g| g.create_index()),
    (6, 5, |g| g.create_view()),
    (8, 2, |g| g.create_type()),
    (3, 2, |g| g.create_sequence()),
    (8, 6, |g| g.create_code()),
    (4, 2, |g| g.partition_candidate()),
    (8, 45, |g| g.alter_table()),
    (2, 7, |g| g.alter_partition()),
    (1, 4, |g| g.alter_index()),
    (1, 4, |g| g.alter_view()),
    (1, 4, |g| g.alter_sequence()),
    (1, 7, |g| g.alter_type()),
    (0, 9, |g| g.drop()),
    (12, 6, |g| g.dml()),
    (1, 3, |g| g.comment()),
    (1, 3, |g| g.grant()),
    (1, 8, |g| g.maintain()),
    (1, 5, |g| g.alter_object()),
    (1, 2, |g| g.lock()),
    (1, 3, |g| g.session()),
    (0, 3, |g| g.block()),
    (1, 2, |g| g.call()),
    (0, 3, |g| g.missing_part()),
    (0, 4, |g| g.typed()),
];

impl<'c> Gen<'c> {
    pub fn statement(&mut self, making: bool) -> String {
        let weight = |k: &(u32, u32, Draw)| if making { k.0 } else { k.1 };
        let total: u32 = KINDS.iter().map(weight).sum();
        loop {
            let mut at = self.rng.u32(0..total);
            for k in KINDS {
                if at < weight(k) {
                    if let Some(s) = (k.2)(self) {
                        return s;
                    }
                    break;
                }
                at -= weight(k);
            }
        }
    }

    /// Mostly where it belongs: LOCK wants a transaction, and some want none.
    pub fn placed(&mut self, making: bool, inside: bool) -> String {
        loop {
            let sql = self.statement(making);
            let alone = ["VACUUM", "CONCURRENTLY", "REINDEX SCHEMA", "ALTER SYSTEM"].iter().any(|w| sql.contains(w));
            let misplaced = if inside { alone } else { sql.starts_with("LOCK") };
            if !misplaced || self.chance(15) {
                return sql;
            }
        }
    }

    fn alter_type(&mut self) -> Option<String> {
        match self.rng.u32(0..10) {
            0..4 => {
                let t = self.user_type(|k| matches!(k, TypeKind::Enum { .. }))?;
                let name = self.type_name(t);
                Some(match self.rng.u32(0..6) {
                    0 => format!("ALTER TYPE {name} RENAME VALUE 'a' TO {}", literal(&self.fresh("l"))),
                    1 => format!("ALTER TYPE {name} ADD VALUE IF NOT EXISTS 'b'"),
                    2 => format!("ALTER TYPE {name} ADD VALUE {} BEFORE 'b'", literal(&self.fresh("l"))),
                    3 => format!("ALTER TYPE {name} RENAME TO {}", self.fresh("rty")),
                    4 => format!("ALTER TYPE {name} SET SCHEMA {}", self.of(&["app", "public"])),
                    _ => format!("ALTER TYPE {name} ADD VALUE {}", literal(&self.fresh("l"))),
                })
            }
            4..8 => {
                let t = self.user_type(|k| matches!(k, TypeKind::Domain { .. }))?;
                let name = self.type_name(t);
                Some(match self.rng.u32(0..10) {
                    9 => format!("ALTER DOMAIN {name} RENAME CONSTRAINT late TO {}", self.fresh("dc")),
                    0 => format!("ALTER DOMAIN {name} SET NOT NULL"),
                    1 => format!("ALTER DOMAIN {name} DROP NOT NULL"),
                    2 => format!("ALTER DOMAIN {name} ADD CONSTRAINT {} CHECK (VALUE IS NOT NULL)", self.fresh("dc")),
                    3 => format!("ALTER DOMAIN {name} ADD CONSTRAINT late CHECK (VALUE IS NOT NULL) NOT VALID"),
                    4 => format!("ALTER DOMAIN {name} VALIDATE CONSTRAINT late"),
                    5 => format!("ALTER DOMAIN {name} DROP CONSTRAINT {}late", self.maybe(40, "IF EXISTS ")),
                    6 => format!("ALTER DOMAIN {name} SET DEFAULT NULL"),
                    7 => format!("ALTER DOMAIN {name} DROP DEFAULT"),
                    _ => format!("ALTER DOMAIN {name} RENAME TO {}", self.fresh("rdom")),
                })
            }
            _ => {
                let t = self.composite()?;
                let name = self.name(t);
                Some(match self.rng.u32(0..4) {
                    0 => format!("ALTER TYPE {name} ADD ATTRIBUTE {} int{}", self.fresh("at"), self.maybe(40, " CASCADE")),
                    1 => format!("ALTER TYPE {name} DROP ATTRIBUTE y{}", self.maybe(40, " CASCADE")),
                    2 => format!("ALTER TYPE {name} ALTER ATTRIBUTE x TYPE bigint{}", self.maybe(40, " CASCADE")),
                    _ => format!("ALTER TYPE {name} RENAME ATTRIBUTE x TO {}{}", self.fresh("at"), self.maybe(40, " CASCADE")),
                })
            }
        }
    }

    fn drop(&mut self) -> Option<String> {
        let exists = self.maybe(20, "IF EXISTS ");
        let cascade = self.maybe(35, " CASCADE");
        match self.rng.u32(0..14) {
            0..3 => {
                let rel = self.about_table()?;
                let second = if self.chance(12) { self.table().map(|r| format!(", {}", qualified(&r.schema, &r.name))) } else { None };
                Some(format!("DROP TABLE {exists}{}{}{cascade}", self.name(rel), second.unwrap_or_default()))
            }
            3..6 => {
                let rel = self.relation(|r| r.kind.is_index())?;
                let concurrently = self.maybe(10, "CONCURRENTLY ");
                let cascade = if concurrently.is_empty() { cascade } else { "" };
                Some(format!("DROP INDEX {concurrently}{exists}{}{cascade}", self.name(rel)))
            }
            6 => {
                let rel = self.of_kind(RelKind::View)?;
                Some(format!("DROP VIEW {exists}{}{cascade}", self.name(rel)))
            }
            7 => {
                let rel = self.of_kind(RelKind::MaterializedView)?;
                Some(format!("DROP MATERIALIZED VIEW {exists}{}{cascade}", self.name(rel)))
            }
            8 => {
                let rel = self.of_kind(RelKind::Sequence)?;
                Some(format!("DROP SEQUENCE {exists}{}{cascade}", self.name(rel)))
            }
            9 => {
                let t = self.user_type(|_| true)?;
                let word = if matches!(t.kind, TypeKind::Domain { .. }) { "DOMAIN" } else { "TYPE" };
                Some(format!("DROP {word} {exists}{}{cascade}", self.type_name(t)))
            }
            10 => {
                let all: Vec<_> = self.cat.functions.values().collect();
                let f = all.get(self.rng.usize(0..all.len().max(1)))?;
                let word = if f.kind == ObjectKind::Procedure { "PROCEDURE" } else { "FUNCTION" };
                Some(format!("DROP {word} {exists}{}{cascade}", qualified(&f.schema, &f.name)))
            }
            _ => {
                let rel = self.relation(|r| !r.triggers.is_empty() || !r.policies.is_empty() || !r.rules.is_empty())?;
                let table = self.name(rel);
                if let Some(t) = rel.triggers.first() {
                    return Some(format!("DROP TRIGGER {exists}{} ON {table}{cascade}", ident(&t.name)));
                }
                if let Some(p) = rel.policies.first() {
                    return Some(format!("DROP POLICY {exists}{} ON {table}", ident(&p.name)));
                }
                rel.rules.first().map(|r| format!("DROP RULE {exists}{} ON {table}{cascade}", ident(&r.name)))
            }
        }
    }

    fn dml(&mut self) -> Option<String> {
        let rel = self.table()?;
        let name = self.name(rel);
        match self.rng.u32(0..12) {
            0..5 => self.insert_rows(rel),
            5 | 6 => {
                let c = self.column_of(rel, |c| c.generated.is_none())?;
                let value = self.value(&c.ty)?;
                let by = self.column_of(rel, |_| true)?;
                Some(format!("UPDATE {name} SET {} = {value} WHERE {}", ident(&c.name), self.condition(by)))
            }
            7 => {
                let c = self.column_of(rel, |_| true)?;
                Some(format!("DELETE FROM {name} WHERE {} IS NULL", ident(&c.name)))
            }
            8 if self.chance(50) => {
                let c = self.column_of(rel, |c| c.generated.is_none())?;
                Some(format!("COPY {name} ({}) FROM STDIN", ident(&c.name)))
            }
            8 => self.query(),
            9 => {
                let cascade = self.maybe(40, " CASCADE");
                Some(format!("TRUNCATE {name}{cascade}"))
            }
            10 => {
                let q = self.query()?;
                Some(format!("{q} FOR UPDATE")).filter(|q| !q.contains("count("))
            }
            _ => Some(format!("INSERT INTO {name} SELECT * FROM {name} WHERE false")),
        }
    }

    fn comment(&mut self) -> Option<String> {
        let rel = self.table()?;
        let name = self.name(rel);
        Some(match self.rng.u32(0..6) {
            0 => format!("COMMENT ON TABLE {name} IS 'words'"),
            1 | 2 => format!("COMMENT ON COLUMN {name}.{} IS 'words'", self.column(rel)?),
            3 => format!("COMMENT ON CONSTRAINT {} ON {name} IS 'words'", self.constraint(rel, |_| true)?),
            4 => {
                let i = self.relation(|r| r.kind.is_index())?;
                format!("COMMENT ON INDEX {} IS 'words'", self.name(i))
            }
            _ => {
                let v = self.of_kind(RelKind::View)?;
                format!("COMMENT ON VIEW {} IS NULL", self.name(v))
            }
        })
    }

    fn grant(&mut self) -> Option<String> {
        let rel = self.table()?;
        let name = self.name(rel);
        Some(match self.rng.u32(0..6) {
            0 => format!("GRANT SELECT ON {name} TO PUBLIC"),
            1 => format!("GRANT SELECT ({}) ON {name} TO PUBLIC", self.column(rel)?),
            2 => format!("REVOKE ALL ON {name} FROM PUBLIC"),
            3 => "GRANT USAGE ON SCHEMA app TO PUBLIC".into(),
            4 => {
                let s = self.of_kind(RelKind::Sequence)?;
                format!("GRANT USAGE ON SEQUENCE {} TO PUBLIC", self.name(s))
            }
            _ => "GRANT SELECT ON ALL TABLES IN SCHEMA app TO PUBLIC".into(),
        })
    }

    fn maintain(&mut self) -> Option<String> {
        let rel = self.about_table()?;
        let name = self.name(rel);
        Some(match self.rng.u32(0..14) {
            0 => "REINDEX SCHEMA app".into(),
            12 => format!("REINDEX TABLE {name}"),
            1 => format!("REINDEX TABLE CONCURRENTLY {name}"),
            2 | 3 => {
                let i = self.relation(|r| r.kind.is_index())?;
                format!("REINDEX INDEX {}{}", self.maybe(20, "CONCURRENTLY "), self.name(i))
            }
            4..7 => {
                let v = self.of_kind(RelKind::MaterializedView)?;
                let unique = self.cat.indexes_of(v.id).iter().any(|i| i.index.as_ref().is_some_and(|i| i.unique && i.filter.is_none()));
                let how = self.maybe(if unique { 50 } else { 6 }, "CONCURRENTLY ");
                let data = if how.is_empty() { self.maybe(20, " WITH NO DATA") } else { "" };
                format!("REFRESH MATERIALIZED VIEW {how}{}{data}", self.name(v))
            }
            7 => format!("ANALYZE {name}"),
            8 => format!("VACUUM {}{name}", self.of(&["", "", "(ANALYZE) ", "FULL "])),
            9..11 => {
                let indexes = self.cat.indexes_of(rel.id);
                match indexes.first() {
                    Some(i) => format!("CLUSTER {name} USING {}", ident(&i.name)),
                    None => format!("CLUSTER {name}"),
                }
            }
            11 => format!("ANALYZE {name}"),
            _ => format!("ANALYZE {name}"),
        })
    }

    fn alter_object(&mut self) -> Option<String> {
        let publication = self.cat.objects.values().filter(|o| o.kind == ObjectKind::Publication).map(|o| ident(&o.name)).next();
        let rel = self.table()?;
        let name = self.name(rel);
        match self.rng.u32(0..10) {
            0..3 => {
                let p = publication?;
                let how = self.of(&["ADD", "SET", "DROP"]);
                Some(format!("ALTER PUBLICATION {p} {how} TABLE {name}"))
            }
            3 => publication.map(|p| format!("DROP PUBLICATION {p}")),
            4 | 5 => {
                let rel = self.relation(|r| !r.triggers.is_empty() || !r.policies.is_empty() || !r.rules.is_empty())?;
                let table = self.name(rel);
                if let Some(t) = rel.triggers.last() {
                    return Some(format!("ALTER TRIGGER {} ON {table} RENAME TO {}", ident(&t.name), self.fresh("rtr")));
                }
                if let Some(p) = rel.policies.last() {
                    let to = self.fresh("rpol");
                    return Some(match self.chance(50) {
                        true => format!("ALTER POLICY {} ON {table} RENAME TO {to}", ident(&p.name)),
                        false => format!("ALTER POLICY {} ON {table} TO PUBLIC", ident(&p.name)),
                    });
                }
                rel.rules.last().map(|r| format!("ALTER RULE {} ON {table} RENAME TO {}", ident(&r.name), self.fresh("rrl")))
            }
            6 | 8 => {
                let all: Vec<_> = self.cat.functions.values().collect();
                let f = all.get(self.rng.usize(0..all.len().max(1)))?;
                let f_name = qualified(&f.schema, &f.name);
                let word = if f.kind == ObjectKind::Procedure { "PROCEDURE" } else { "FUNCTION" };
                Some(match self.rng.u32(0..4) {
                    3 => format!("ALTER {word} {f_name} OWNER TO CURRENT_USER"),
                    0 if word == "FUNCTION" => format!("ALTER FUNCTION {f_name} {}", self.of(&["STABLE", "COST 20", "SECURITY DEFINER"])),
                    0 => format!("ALTER PROCEDURE {f_name} SECURITY DEFINER"),
                    1 => format!("ALTER {word} {f_name} RENAME TO {}", self.fresh("rfn")),
                    _ => format!("ALTER {word} {f_name} SET SCHEMA {}", self.of(&["app", "public"])),
                })
            }
            7 => {
                let s = self.cat.objects.values().find(|o| o.kind == ObjectKind::Statistics)?;
                let s_name = qualified(&s.schema, &s.name);
                Some(match self.chance(50) {
                    true => format!("DROP STATISTICS {s_name}"),
                    false => format!("ALTER STATISTICS {s_name} SET STATISTICS 5"),
                })
            }
            _ => {
                let has = self.cat.objects.keys().any(|k| k.0 == ObjectKind::Extension && k.2 == "citext");
                Some(match has {
                    true if self.chance(40) => "ALTER EXTENSION citext UPDATE".into(),
                    true => format!("DROP EXTENSION citext{}", self.maybe(50, " CASCADE")),
                    false => "CREATE EXTENSION citext".into(),
                })
            }
        }
    }

    /// What holds for the session, or until the transaction ends.
    fn session(&mut self) -> Option<String> {
        Some(match self.rng.u32(0..8) {
            0 => "SET lock_timeout = '5s'".into(),
            1 => "SET LOCAL statement_timeout = '60s'".into(),
            2 => "RESET lock_timeout".into(),
            3 => "SET CONSTRAINTS ALL DEFERRED".into(),
            4 => "SET CONSTRAINTS ALL IMMEDIATE".into(),
            5 => "RESET ROLE".into(),
            6 => "SET SESSION AUTHORIZATION DEFAULT".into(),
            _ => "ALTER SYSTEM SET work_mem = '4MB'".into(),
        })
    }

    /// Another statement inside of DO.
    fn block(&mut self) -> Option<String> {
        let inner = match self.rng.u32(0..4) {
            0 => self.dml()?,
            1 => self.create_index()?,
            2 => self.drop()?,
            _ => self.alter_table()?,
        };
        // A query without a place for its rows is refused by PL/pgSQL itself, and so are COPY and what needs to be alone.
        let fits = !inner.starts_with("SELECT") && !inner.starts_with("COPY") && !inner.contains("CONCURRENTLY") && !inner.contains("$$");
        fits.then(|| format!("DO $$ BEGIN {inner}; END $$"))
    }

    /// A procedure, made and called.
    fn call(&mut self) -> Option<String> {
        let procedure = self.cat.functions.values().find(|f| f.kind == ObjectKind::Procedure).map(|f| qualified(&f.schema, &f.name));
        match procedure {
            Some(name) if self.chance(70) => Some(format!("CALL {name}()")),
            _ => {
                let rel = self.table()?;
                let body = format!("DELETE FROM {} WHERE false", qualified(&rel.schema, &rel.name));
                Some(format!("CREATE PROCEDURE {}() LANGUAGE sql AS '{body}'", self.new_qualified("proc")))
            }
        }
    }

    fn lock(&mut self) -> Option<String> {
        let rel = self.about_table()?;
        let mode = self.of(&["ACCESS SHARE", "ROW EXCLUSIVE", "SHARE", "ACCESS EXCLUSIVE"]);
        Some(format!("LOCK TABLE {}{} IN {mode} MODE", self.maybe(10, "ONLY "), self.name(rel)))
    }
}
