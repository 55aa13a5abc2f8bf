//! Random CREATE statements, and the rows that go into new tables.

use crate::catalog::{Column, ConKind, RelKind, Relation, TypeKind};
use crate::quote::{ident, idents, qualified};

use super::pick::Gen;

const NAMES: &[&str] = &["id", "a", "b", "c", "d", "e", "f", "g", "Name", "order"];

impl<'c> Gen<'c> {
    pub fn create_table(&mut self) -> Option<String> {
        let temp = self.rng.u32(0..100);
        let persistence = match temp {
            0..4 => "TEMP ",
            4..10 => "UNLOGGED ",
            _ => "",
        };
        let name = if temp < 4 { self.fresh("tmp") } else { self.new_qualified("t") };
        let exists = self.maybe(5, "IF NOT EXISTS ");
        let head = format!("CREATE {persistence}TABLE {exists}{name}");
        match self.rng.u32(0..20) {
            0 => {
                let like = self.relation(|r| r.kind.is_table() || r.kind == RelKind::View)?;
                let options = self.of(&["", " INCLUDING ALL", " INCLUDING DEFAULTS", " INCLUDING INDEXES INCLUDING CONSTRAINTS"]);
                let extra = self.maybe(30, ", extra text");
                return Some(format!("{head} (LIKE {}{options}{extra})", self.name(like)));
            }
            1 | 2 => {
                let parent = self.relation(|r| r.kind == RelKind::Table && r.partition_bound.is_none())?;
                let own = self.fresh("own");
                return Some(format!("{head} ({own} int DEFAULT 3) INHERITS ({})", self.name(parent)));
            }
            3..7 if persistence.is_empty() => return self.create_partition(&head),
            8 if temp >= 4 => {
                // Of a composite type, or with the same columns.
                let t = self.composite()?;
                if self.chance(35) {
                    return Some(format!("{head} OF {}", qualified(&t.schema, &t.name)));
                }
                let columns = t.columns.iter().filter(|c| c.ty.id.is_none());
                let list: Vec<String> = columns.map(|c| format!("{} {}", ident(&c.name), c.ty)).collect();
                return Some(format!("{head} ({})", list.join(", ")));
            }
            7 => {
                let q = self.query()?;
                let data = self.maybe(15, " WITH NO DATA");
                return Some(format!("{head} AS {q}{data}"));
            }
            _ => {}
        }
        let mut names: Vec<&str> = NAMES.to_vec();
        self.rng.shuffle(&mut names);
        names.truncate(self.rng.usize(1..7));
        let partitioned = persistence.is_empty() && self.chance(15);
        if partitioned {
            // The key is an integer, so that rows can be routed; the primary key contains it.
            names.retain(|n| *n != "id" && *n != "order");
            let mut columns = vec!["id int NOT NULL".to_string()];
            for n in &names {
                let ty = self.ty();
                columns.push(format!("{} {ty}", ident(n)));
            }
            if self.chance(50) {
                columns.push("PRIMARY KEY (id)".into());
            }
            if self.chance(20)
                && let Some(fk) = self.foreign_key("id", "int")
            {
                columns.push(format!("FOREIGN KEY (id) {fk}"));
            }
            let how = self.of(&["RANGE (id)", "RANGE (id)", "LIST (id)", "HASH (id)"]);
            return Some(format!("{head} ({}) PARTITION BY {how}", columns.join(", ")));
        }
        let mut parts: Vec<String> = Vec::new();
        let mut primary = false;
        for (i, n) in names.iter().enumerate() {
            let def = self.column_def(n, i == 0 && !primary);
            primary |= def.contains("PRIMARY KEY");
            parts.push(def);
        }
        if names.len() > 1 && self.chance(25) {
            let (a, b) = (ident(names[0]), ident(names[1]));
            let nnd = if self.cat.pg.0 >= 15 { self.maybe(15, " NULLS NOT DISTINCT") } else { "" };
            let deferrable = self.deferrable();
            parts.push(format!("UNIQUE{nnd} ({a}, {b}){deferrable}"));
        }
        if self.chance(15) {
            let c = self.fresh("chk");
            parts.push(format!("CONSTRAINT {c} CHECK ({} IS NOT NULL OR 1 = 1)", ident(names[0])));
        }
        let with = self.maybe(8, " WITH (fillfactor = 70)");
        Some(format!("{head} ({}){with}", parts.join(", ")))
    }

    pub fn deferrable(&mut self) -> &'static str {
        match self.rng.u32(0..12) {
            0 => " DEFERRABLE",
            1 => " DEFERRABLE INITIALLY DEFERRED",
            _ => "",
        }
    }

    pub fn column_def(&mut self, name: &str, first: bool) -> String {
        let name = ident(name);
        match self.rng.u32(0..30) {
            0 | 1 => return format!("{name} {}{}", self.of(&["serial", "bigserial"]), if first { " PRIMARY KEY" } else { "" }),
            2 | 3 => {
                let how = self.of(&["ALWAYS", "BY DEFAULT"]);
                let ty = self.of(&["int", "bigint"]);
                return format!("{name} {ty} GENERATED {how} AS IDENTITY{}", if first { " PRIMARY KEY" } else { "" });
            }
            4 => {
                let kind = match self.cat.pg.0 {
                    18.. => self.of(&[" STORED", " VIRTUAL", ""]),
                    _ => " STORED",
                };
                return format!("{name} int GENERATED ALWAYS AS (length('abc') + 1){kind}");
            }
            _ => {}
        }
        let ty = self.ty();
        let mut out = format!("{name} {ty}");
        if (ty == "text" || ty.starts_with("varchar")) && !ty.ends_with("[]") && self.chance(10) {
            out.push_str(" COLLATE \"C\"");
        }
        let mut has_default = false;
        if self.chance(25) {
            let d = self.default(&ty);
            has_default = d != "NULL";
            out.push_str(&format!(" DEFAULT {d}"));
        }
        if first && self.chance(60) {
            out.push_str(" PRIMARY KEY");
        } else if self.chance(if has_default { 30 } else { 12 }) {
            out.push_str(" NOT NULL");
        }
        if self.chance(7) {
            let deferrable = self.deferrable();
            out.push_str(&format!(" UNIQUE{deferrable}"));
        }
        if self.chance(10) {
            let no_inherit = self.maybe(20, " NO INHERIT");
            out.push_str(&format!(" CHECK ({name} IS NOT NULL OR true){no_inherit}"));
        }
        if self.chance(15)
            && let Some(fk) = self.foreign_key(&name, &ty)
        {
            out.push_str(&format!(" {fk}"));
        }
        out
    }

    /// `REFERENCES …` to a key of the same type.
    pub fn foreign_key(&mut self, _column: &str, ty: &str) -> Option<String> {
        let wanted = match ty {
            "int" | "integer" => "integer",
            "bigint" | "text" | "uuid" => ty,
            _ if self.chance(90) => return None,
            _ => "integer",
        };
        let keys: Vec<(&Relation, &str)> = self
            .cat
            .relations
            .values()
            .filter(|r| r.kind.is_table())
            .flat_map(|r| r.constraints.iter().map(move |c| (r, c)))
            .filter_map(|(r, c)| match &c.kind {
                ConKind::PrimaryKey { columns, .. } | ConKind::Unique { columns, .. } if columns.len() == 1 => {
                    (r.column(&columns[0])?.ty.to_string() == wanted).then(|| (r.as_ref(), columns[0].as_str()))
                }
                _ => None,
            })
            .collect();
        if keys.is_empty() {
            return None;
        }
        let (rel, key) = keys[self.rng.usize(0..keys.len())];
        let action = self.of(&["", "", "", " ON DELETE CASCADE", " ON DELETE SET NULL", " ON UPDATE CASCADE"]);
        let deferrable = self.deferrable();
        Some(format!("REFERENCES {} ({}){action}{deferrable}", self.name(rel), ident(key)))
    }

    fn create_partition(&mut self, head: &str) -> Option<String> {
        let parent = self.relation(|r| r.kind == RelKind::PartitionedTable)?;
        let name = self.name(parent);
        let bound = self.bound(parent);
        let sub = if self.chance(12) { " PARTITION BY RANGE (id)" } else { "" };
        Some(format!("{head} PARTITION OF {name} {bound}{sub}"))
    }

    /// A bound that no other partition has, mostly.
    pub fn bound(&mut self, parent: &Relation) -> String {
        if self.chance(10) {
            return "DEFAULT".into();
        }
        let n = self.number() * 10;
        match parent.partition_by.as_ref().map(|p| p.strategy.as_str()) {
            Some("list") => format!("FOR VALUES IN ({n}, {})", n + 1),
            Some("hash") => format!("FOR VALUES WITH (MODULUS 4, REMAINDER {})", self.rng.u32(0..4)),
            _ if self.chance(8) => "FOR VALUES FROM (MINVALUE) TO (-1000)".into(),
            _ => format!("FOR VALUES FROM ({n}) TO ({})", n + 10),
        }
    }

    /// A query over one or two relations.
    pub fn query(&mut self) -> Option<String> {
        let rel =
            self.relation(|r| (r.kind.is_table() || matches!(r.kind, RelKind::View | RelKind::MaterializedView)) && !r.columns.is_empty())?;
        let name = self.name(rel);
        let c = self.column_of(rel, |_| true)?;
        match self.rng.u32(0..8) {
            0 => Some(format!("SELECT * FROM {name}")),
            1 => Some(format!("SELECT count(*) AS n FROM {name}")),
            2 => Some(format!("SELECT {} FROM {name} WHERE {}", ident(&c.name), self.condition(c))),
            3 => {
                let other = self.relation(|r| r.kind.is_table() && !r.columns.is_empty())?;
                let d = self.column_of(other, |_| true)?;
                let other_name = self.name(other);
                Some(format!("SELECT x.{} AS one, y.{} AS two FROM {name} x CROSS JOIN {other_name} y", ident(&c.name), ident(&d.name)))
            }
            _ => Some(format!("SELECT {} FROM {name}", idents(rel.columns.iter().take(2).map(|c| &c.name)))),
        }
    }

    pub fn create_index(&mut self) -> Option<String> {
        let rel = if self.chance(85) {
            self.table()?
        } else if self.chance(80) {
            self.of_kind(RelKind::MaterializedView)?
        } else {
            self.relation(|_| true)?
        };
        let name = self.name(rel);
        let concurrently = self.maybe(6, "CONCURRENTLY ");
        let unique = self.maybe(25, "UNIQUE ");
        let exists = self.maybe(4, "IF NOT EXISTS ");
        let index = match self.rng.u32(0..10) {
            0 if exists.is_empty() => String::new(),
            1 if !exists.is_empty() => self.relation(|r| r.kind.is_index()).map(|r| format!("{} ", ident(&r.name)))?,
            _ => format!("{} ", self.fresh("ix")),
        };
        let only = if rel.kind == RelKind::PartitionedTable { self.maybe(20, "ONLY ") } else { "" };
        let c = self.column_of(rel, |_| true)?;
        let column = ident(&c.name);
        let text = matches!(c.ty.name.as_str(), "text" | "character varying") && !c.ty.is_array();
        let key = match self.rng.u32(0..9) {
            0 if text => format!("lower({column})"),
            1 if c.ty.name == "integer" && !c.ty.is_array() => format!("({column} + 1)"),
            2 => format!("{column} DESC NULLS LAST"),
            3 if text => format!("{column} text_pattern_ops"),
            _ => self.columns(rel)?,
        };
        let method = match self.rng.u32(0..16) {
            0 => " USING hash",
            1 => " USING brin",
            2 => " USING gin",
            3 => " USING gist",
            _ => "",
        };
        let include = if self.chance(8) { self.column(rel).map(|c| format!(" INCLUDE ({c})")).unwrap_or_default() } else { String::new() };
        let filter = if self.chance(15) {
            let c = self.column_of(rel, |_| true)?;
            format!(" WHERE {}", self.condition(c))
        } else {
            String::new()
        };
        Some(format!("CREATE {unique}INDEX {concurrently}{exists}{index}ON {only}{name}{method} ({key}){include}{filter}"))
    }

    pub fn create_view(&mut self) -> Option<String> {
        let q = self.query()?;
        let replaced = self.relation(|r| r.kind == RelKind::View).map(|r| qualified(&r.schema, &r.name));
        match self.rng.u32(0..10) {
            0..3 => {
                let name = self.new_qualified("mv");
                let data = self.maybe(15, " WITH NO DATA");
                Some(format!("CREATE MATERIALIZED VIEW {name} AS {q}{data}"))
            }
            3 => Some(format!("CREATE OR REPLACE VIEW {} AS {q}", replaced?)),
            4 => {
                let name = self.new_qualified("v");
                Some(format!("CREATE VIEW {name} WITH (security_barrier) AS {q}"))
            }
            _ => {
                let name = self.new_qualified("v");
                Some(format!("CREATE VIEW {name} AS {q}"))
            }
        }
    }

    pub fn create_type(&mut self) -> Option<String> {
        if self.chance(6) {
            return Some(format!("CREATE SCHEMA {}{}", self.maybe(20, "IF NOT EXISTS "), self.fresh("sch")));
        }
        let name = self.new_qualified("ty");
        match self.rng.u32(0..6) {
            0..2 => Some(format!("CREATE TYPE {name} AS ENUM ('a', 'b', 'c')")),
            2 => Some(format!("CREATE TYPE {name} AS (x int, y text)")),
            3 => Some(format!("CREATE TYPE {name} AS RANGE (subtype = float8)")),
            _ => {
                let base = self.of(&["int", "text", "varchar(9)", "numeric(8,2)", "bigint"]);
                let rest = match base {
                    "int" | "bigint" => {
                        self.of(&["", " CHECK (VALUE >= 0)", " NOT NULL", " DEFAULT 7", " CONSTRAINT big CHECK (VALUE > -5)"])
                    }
                    _ => self.of(&["", " CHECK (VALUE IS NOT NULL)", ""]),
                };
                Some(format!("CREATE DOMAIN {name} AS {base}{rest}"))
            }
        }
    }

    pub fn create_sequence(&mut self) -> Option<String> {
        let name = self.new_qualified("sq");
        let options = self.of(&["", " START 10 INCREMENT 2", " AS smallint", " MINVALUE 5 MAXVALUE 500 CYCLE"]);
        if self.chance(25) {
            let rel = self.table()?;
            let table = self.name(rel);
            let column = self.column(rel)?;
            return Some(format!("CREATE SEQUENCE {name}{options} OWNED BY {table}.{column}"));
        }
        Some(format!("CREATE SEQUENCE {name}{options}"))
    }

    pub fn create_code(&mut self) -> Option<String> {
        let rel = self.about_table()?;
        let table = self.name(rel);
        let functions: Vec<_> = self.cat.functions.values().filter(|f| f.returns == "trigger").collect();
        match self.rng.u32(0..12) {
            0 => {
                Some(format!("CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'", self.new_qualified("trg")))
            }
            1 => {
                let name = self.new_qualified("fn");
                let volatility = self.of(&["", " IMMUTABLE", " STABLE"]);
                Some(format!("CREATE FUNCTION {name}(n int) RETURNS int LANGUAGE sql{volatility} AS 'SELECT n + 1'"))
            }
            2 => Some(format!(
                "CREATE FUNCTION {}() RETURNS SETOF {table} LANGUAGE sql AS 'SELECT * FROM {table}'",
                self.new_qualified("fn")
            )),
            3..7 if !functions.is_empty() => {
                let f = functions[self.rng.usize(0..functions.len())];
                let (f_name, name) = (qualified(&f.schema, &f.name), self.fresh("tr"));
                let when = self.of(&["BEFORE INSERT", "AFTER INSERT OR UPDATE", "BEFORE UPDATE", "AFTER DELETE"]);
                let each = self.of(&["ROW", "ROW", "STATEMENT"]);
                if self.chance(15) {
                    return Some(format!(
                        "CREATE CONSTRAINT TRIGGER {name} AFTER INSERT ON {table} DEFERRABLE FOR EACH ROW EXECUTE FUNCTION {f_name}()"
                    ));
                }
                Some(format!("CREATE TRIGGER {name} {when} ON {table} FOR EACH {each} EXECUTE FUNCTION {f_name}()"))
            }
            7..9 => {
                let name = self.fresh("pol");
                let rest = self.of(&["USING (true)", "FOR SELECT USING (true)", "FOR INSERT WITH CHECK (true)", ""]);
                Some(format!("CREATE POLICY {name} ON {table} {rest}"))
            }
            9 => {
                let name = self.fresh("rl");
                let event = self.of(&["INSERT", "UPDATE", "DELETE"]);
                let how = self.of(&["ALSO", "INSTEAD"]);
                Some(format!("CREATE RULE {name} AS ON {event} TO {table} DO {how} NOTHING"))
            }
            10 => {
                let (a, b) = (self.column(rel)?, self.column(rel)?);
                Some(format!("CREATE STATISTICS {} ON {a}, {b} FROM {table}", self.new_qualified("st")))
            }
            _ => {
                let name = self.fresh("pub");
                Some(format!("CREATE PUBLICATION {name} FOR TABLE {table}"))
            }
        }
    }

    /// Three rows for a table that takes them.
    pub fn insert_rows(&mut self, rel: &'c Relation) -> Option<String> {
        let given: Vec<&Column> = rel
            .columns
            .iter()
            .filter(|c| c.generated.is_none() && c.identity.is_none() && c.serial.is_none())
            .filter(|c| !matches!(c.ty.id.and_then(|id| self.cat.types.get(&id)).map(|t| &t.kind), Some(TypeKind::Composite { .. })))
            .collect();
        let table = qualified(&rel.schema, &rel.name);
        if given.is_empty() {
            return Some(format!("INSERT INTO {table} DEFAULT VALUES"));
        }
        let mut rows = Vec::new();
        for _ in 0..3 {
            let mut row = Vec::new();
            for c in &given {
                row.push(self.row_value(rel, c));
            }
            rows.push(format!("({})", row.join(", ")));
        }
        Some(format!("INSERT INTO {table} ({}) VALUES {}", idents(given.iter().map(|c| &c.name)), rows.join(", ")))
    }

    fn row_value(&mut self, rel: &Relation, c: &Column) -> String {
        // A referenced value cannot be known here: NULL satisfies the key, a default is left to the table.
        let refers = rel.constraints.iter().find_map(|k| match &k.kind {
            ConKind::ForeignKey { columns, table, ref_columns, .. } => {
                columns.iter().position(|n| *n == c.name).and_then(|i| Some((self.cat.relation(*table)?, ref_columns.get(i)?)))
            }
            _ => None,
        });
        if let Some((other, key)) = refers {
            return format!("(SELECT max({}) FROM {})", ident(key), qualified(&other.schema, &other.name));
        }
        if let Some(from) = partition_value(self.cat, rel, &c.name) {
            return from;
        }
        self.value(&c.ty).unwrap_or_else(|| "DEFAULT".into())
    }
}

/// The value of a key column that some partition takes.
fn partition_value(cat: &crate::catalog::Catalog, rel: &Relation, column: &str) -> Option<String> {
    use crate::op::PartitionBound::{List, Range};
    let bound = match &rel.partition_bound {
        Some(b) => Some(b.clone()),
        None => cat.children_of(rel.id).into_iter().find_map(|id| cat.relation(id)?.partition_bound.clone()),
    };
    match bound {
        Some(Range { from, .. }) if column == "id" => from.first().map(|e| e.text.clone()).filter(|t| t.parse::<i64>().is_ok()),
        Some(List(values)) if column == "id" => values.first().map(|e| e.text.clone()),
        _ => None,
    }
}
