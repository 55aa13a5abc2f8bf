//! Random subcommands of ALTER TABLE and its relatives.

use crate::catalog::{Column, ConKind, RelKind, Relation};
use crate::op::ObjectKind;
use crate::quote::{ident, qualified};

use super::pick::Gen;

impl<'c> Gen<'c> {
    pub fn alter_table(&mut self) -> Option<String> {
        let special = |r: &Relation| {
            let keys = r.constraints.iter().any(|c| matches!(c.kind, ConKind::ForeignKey { .. }));
            let own =
                !r.triggers.is_empty() || !r.rules.is_empty() || r.columns.iter().any(|c| c.identity.is_some() || c.generated.is_some());
            r.kind.is_table() && (keys || own || !r.parents.is_empty())
        };
        let rel = match self.chance(25) {
            true => self.relation(special).or_else(|| self.table())?,
            false => self.about_table()?,
        };
        let name = self.name(rel);
        let only = self.maybe(6, "ONLY ");
        let exists = self.maybe(4, "IF EXISTS ");
        let mut actions = vec![self.action(rel)?];
        // Renames and their like stand alone.
        while self.chance(12) && actions.len() < 3 {
            if let Some(a) = self.action(rel) {
                actions.push(a);
            }
        }
        let alone = |a: &String| ["RENAME", "SET SCHEMA", "ATTACH", "DETACH"].iter().any(|w| a.starts_with(w));
        if actions.len() > 1 {
            actions.retain(|a| !alone(a));
        }
        Some(format!("ALTER TABLE {exists}{only}{name} {}", (!actions.is_empty()).then(|| actions.join(", "))?))
    }

    fn action(&mut self, rel: &'c Relation) -> Option<String> {
        let pg = self.cat.pg.0;
        Some(match self.rng.u32(0..62) {
            60 if self.chance(90) => return None,
            60 => {
                let t = self.composite()?;
                format!("OF {}", qualified(&t.schema, &t.name))
            }
            61 if rel.of_type.is_some() || self.chance(3) => "NOT OF".to_string(),
            61 => return None,
            0..5 => {
                let name = if self.chance(4) { "id".to_string() } else { self.fresh("n") };
                let exists = self.maybe(8, "IF NOT EXISTS ");
                format!("ADD COLUMN {exists}{}", self.column_def(&name, false))
            }
            5..8 => {
                let cascade = self.maybe(30, " CASCADE");
                let exists = self.maybe(8, "IF EXISTS ");
                format!("DROP COLUMN {exists}{}{cascade}", self.column(rel)?)
            }
            8..10 => {
                let c = self.column_of(rel, |_| true)?;
                let written = c.ty.to_string();
                format!("ALTER COLUMN {} SET DEFAULT {}", ident(&c.name), self.default(&written))
            }
            10 => format!("ALTER COLUMN {} DROP DEFAULT", self.column(rel)?),
            11..14 => format!("ALTER COLUMN {} SET NOT NULL", self.column(rel)?),
            14 | 15 => format!("ALTER COLUMN {} DROP NOT NULL", self.column(rel)?),
            16..20 => self.set_type(rel)?,
            20 | 21 => match pg {
                17.. => format!("ALTER COLUMN {} SET EXPRESSION AS (1 + 2)", self.generated(rel)?),
                _ => format!("ALTER COLUMN {} DROP EXPRESSION", self.generated(rel)?),
            },
            22 => format!("ALTER COLUMN {} DROP EXPRESSION{}", self.generated(rel)?, self.maybe(40, " IF EXISTS")),
            23 => {
                let fits = |c: &Column| {
                    let free = c.default.is_none() && c.identity.is_none() && c.generated.is_none();
                    c.not_null && free && matches!(c.ty.to_string().as_str(), "integer" | "bigint" | "smallint")
                };
                let column = match self.chance(85) {
                    true => ident(&self.column_of(rel, fits)?.name),
                    false => self.column(rel)?,
                };
                format!("ALTER COLUMN {column} ADD GENERATED {} AS IDENTITY", self.of(&["ALWAYS", "BY DEFAULT"]))
            }
            24 => {
                let c = self.column_of(rel, |c| c.identity.is_some())?;
                let how = self.of(&["SET GENERATED ALWAYS", "SET INCREMENT 3", "RESTART WITH 900"]);
                format!("ALTER COLUMN {} {how}", ident(&c.name))
            }
            25 => {
                let c = if self.chance(80) { self.column_of(rel, |c| c.identity.is_some())? } else { self.column_of(rel, |_| true)? };
                format!("ALTER COLUMN {} DROP IDENTITY{}", ident(&c.name), self.maybe(50, " IF EXISTS"))
            }
            26 => format!("ALTER COLUMN {} SET STATISTICS 50", self.column(rel)?),
            27 => {
                let how = self.of(&["PLAIN", "EXTERNAL", "MAIN", "EXTENDED"]);
                format!("ALTER COLUMN {} SET STORAGE {how}", self.long_column(rel)?)
            }
            28 => format!("ALTER COLUMN {} SET (n_distinct = 5)", self.column(rel)?),
            29 => format!("ALTER COLUMN {} SET COMPRESSION pglz", self.long_column(rel)?),
            30..37 => self.add_constraint(rel)?,
            37..39 => {
                let cascade = self.maybe(40, " CASCADE");
                let exists = self.maybe(8, "IF EXISTS ");
                format!("DROP CONSTRAINT {exists}{}{cascade}", self.constraint(rel, |_| true)?)
            }
            39 => {
                let unchecked: Vec<&str> = rel.constraints.iter().filter(|c| !c.validated).map(|c| c.name.as_str()).collect();
                let name = match unchecked.first() {
                    Some(n) if self.chance(90) => ident(n),
                    None if self.chance(85) => return None,
                    _ => self.constraint(rel, |_| true)?,
                };
                format!("VALIDATE CONSTRAINT {name}")
            }
            40 | 41 => {
                let how = match pg {
                    18.. => self.of(&["DEFERRABLE", "NOT DEFERRABLE", "NOT ENFORCED", "ENFORCED"]),
                    _ => self.of(&["DEFERRABLE", "NOT DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"]),
                };
                format!("ALTER CONSTRAINT {} {how}", self.constraint(rel, |k| matches!(k, ConKind::ForeignKey { .. }))?)
            }
            42 | 43 => {
                let to = if self.chance(8) { "id".into() } else { self.fresh("r") };
                format!("RENAME COLUMN {} TO {to}", self.column(rel)?)
            }
            44 => format!("RENAME CONSTRAINT {} TO {}", self.constraint(rel, |_| true)?, self.fresh("rc")),
            45 => {
                let to = match self.relation(|_| true) {
                    Some(other) if self.chance(8) => ident(&other.name),
                    _ => self.fresh("rt"),
                };
                format!("RENAME TO {to}")
            }
            46 if self.chance(10) => "SET SCHEMA nowhere".into(),
            46 => format!("SET SCHEMA {}", self.of(&["app", "public"])),
            47 => format!("{} TRIGGER {}", self.of(&["ENABLE", "DISABLE"]), self.of(&["ALL", "USER", "USER"])),
            48 => {
                let t = match rel.triggers.first() {
                    Some(t) => t.name.as_str(),
                    None if self.chance(10) => "missing",
                    None => return None,
                };
                format!("{} TRIGGER {}", self.of(&["ENABLE", "DISABLE", "ENABLE REPLICA", "ENABLE ALWAYS"]), ident(t))
            }
            49 => self
                .of(&["ENABLE ROW LEVEL SECURITY", "DISABLE ROW LEVEL SECURITY", "FORCE ROW LEVEL SECURITY", "NO FORCE ROW LEVEL SECURITY"])
                .to_string(),
            50 => {
                let index = self.cat.indexes_of(rel.id);
                match index.first() {
                    Some(i) if self.chance(80) => format!("CLUSTER ON {}", ident(&i.name)),
                    _ => "SET WITHOUT CLUSTER".into(),
                }
            }
            51 => self.of(&["SET LOGGED", "SET UNLOGGED"]).to_string(),
            52 => self
                .of(&["SET (fillfactor = 60)", "SET (autovacuum_enabled = false)", "RESET (fillfactor)", "SET (toast_tuple_target = 256)"])
                .to_string(),
            53 => match self.rng.u32(0..2) {
                0 => {
                    let fits = |p: &Relation| {
                        let checks = p.constraints.iter().any(|c| matches!(c.kind, ConKind::Check { .. }));
                        let alike = |o: &Column, c: &Column| {
                            o.ty == c.ty && o.not_null == c.not_null && o.generated.is_some() == c.generated.is_some()
                        };
                        let has = |c: &Column| {
                            rel.column(&c.name).is_some_and(|o| alike(o, c)) && !self.cat.descendants_of(rel.id).contains(&p.id)
                        };
                        p.kind == RelKind::Table
                            && p.id != rel.id
                            && !rel.parents.contains(&p.id)
                            && !p.is_partition()
                            && !checks
                            && p.columns.iter().all(has)
                    };
                    if (rel.kind != RelKind::Table || rel.is_partition()) && self.chance(90) {
                        return None;
                    }
                    let parent = if self.chance(90) { self.relation(fits)? } else { self.table()? };
                    format!("INHERIT {}", self.name(parent))
                }
                _ => {
                    let above = rel.parents.first().and_then(|p| self.cat.relation(*p)).filter(|_| !rel.is_partition());
                    let parent = match above {
                        Some(p) => p,
                        None if self.chance(5) => self.table()?,
                        None => return None,
                    };
                    format!("NO INHERIT {}", self.name(parent))
                }
            },
            54 => self.of(&["REPLICA IDENTITY FULL", "REPLICA IDENTITY NOTHING", "REPLICA IDENTITY DEFAULT"]).to_string(),
            55 => {
                let index = self.cat.indexes_of(rel.id);
                format!("REPLICA IDENTITY USING INDEX {}", ident(&index.first()?.name))
            }
            56 => match pg {
                15.. => self.of(&["SET ACCESS METHOD heap", "SET TABLESPACE pg_default", "SET WITHOUT OIDS"]).to_string(),
                _ => self.of(&["SET TABLESPACE pg_default", "SET WITHOUT OIDS"]).to_string(),
            },
            57 => format!("OWNER TO {}", self.of(&["CURRENT_USER", "SESSION_USER"])),
            58 => {
                let rule = rel.rules.first()?;
                format!("{} RULE {}", self.of(&["ENABLE", "DISABLE"]), ident(&rule.name))
            }
            _ => format!("ALTER COLUMN {} SET NOT NULL", self.column(rel)?),
        })
    }

    /// One whose values may be long, mostly.
    fn long_column(&mut self, rel: &'c Relation) -> Option<String> {
        let long = |c: &Column| matches!(c.ty.name.as_str(), "text" | "character varying" | "json" | "jsonb" | "bytea");
        let c = if self.chance(80) { self.column_of(rel, long)? } else { self.column_of(rel, |_| true)? };
        Some(ident(&c.name))
    }

    fn generated(&mut self, rel: &'c Relation) -> Option<String> {
        // One that has its own values, and from nobody else.
        let alone = rel.parents.is_empty() && self.cat.children_of(rel.id).is_empty();
        if !alone && self.chance(85) {
            return None;
        }
        if self.chance(99) {
            let since = self.cat.pg.0 >= 18;
            return self
                .column_of(rel, |c| !c.inherited && c.generated.as_ref().is_some_and(|g| g.stored || !since))
                .map(|c| ident(&c.name));
        }
        self.column(rel)
    }

    fn set_type(&mut self, rel: &'c Relation) -> Option<String> {
        let c = self.column_of(rel, |_| true)?;
        let name = ident(&c.name);
        let near: &[&str] = match c.ty.name.as_str() {
            "character varying" => &["text", "varchar(40)", "varchar(9)", "varchar", "char(30)"],
            "text" => &["varchar", "varchar(90)", "text", "text COLLATE \"C\""],
            "numeric" => &["numeric", "numeric(20,2)", "numeric(20,4)", "double precision"],
            "integer" => &["bigint", "numeric", "text", "smallint", "integer"],
            "smallint" => &["integer", "bigint"],
            "bigint" => &["numeric", "integer"],
            "timestamp without time zone" => &["timestamptz", "timestamp(6)", "timestamp(3)", "timestamp", "date"],
            "timestamp with time zone" => &["timestamp", "timestamptz(6)", "timestamptz(0)"],
            "time without time zone" => &["time(6)", "interval", "time(2)"],
            "interval" => &["interval(6)", "interval(3)", "text"],
            "cidr" => &["inet", "text"],
            "inet" => &["cidr", "text"],
            "json" => &["jsonb", "text"],
            "jsonb" => &["json", "text"],
            "bit varying" => &["bit varying(50)", "bit varying", "bit varying(9)"],
            "character" => &["char(20)", "text", "varchar(20)"],
            _ => &["text", "varchar"],
        };
        let array = if c.ty.is_array() { "[]" } else { "" };
        let ty = if self.chance(80) { format!("{}{array}", self.of(near)) } else { self.ty() };
        let ty = if ty.ends_with("\"[]") { "text[]".to_string() } else { ty };
        let using = match self.rng.u32(0..8) {
            0 => format!(" USING {name}::{}", ty.split(" COLLATE").next().unwrap_or_default()),
            1 => " USING NULL".into(),
            2 => format!(" USING {name}"),
            _ => String::new(),
        };
        Some(format!("ALTER COLUMN {name} TYPE {ty}{using}"))
    }

    fn add_constraint(&mut self, rel: &'c Relation) -> Option<String> {
        let name = match self.rng.u32(0..12) {
            0 => String::new(),
            1 => format!("CONSTRAINT {} ", self.constraint(rel, |_| true)?),
            _ => format!("CONSTRAINT {} ", self.fresh("con")),
        };
        let c = self.column_of(rel, |_| true)?;
        let column = ident(&c.name);
        let not_valid = self.maybe(35, " NOT VALID");
        let enforced = if self.cat.pg.0 >= 18 && not_valid.is_empty() { self.maybe(10, " NOT ENFORCED") } else { "" };
        Some(match self.rng.u32(0..12) {
            0..3 => {
                let no_inherit = self.maybe(10, " NO INHERIT");
                format!("ADD {name}CHECK ({}){no_inherit}{enforced}{not_valid}", self.condition(c))
            }
            3..5 => {
                let deferrable = self.deferrable();
                format!("ADD {name}UNIQUE ({}){deferrable}", self.columns(rel)?)
            }
            5 => format!("ADD {name}PRIMARY KEY ({})", self.columns(rel)?),
            6..9 => {
                let written = c.ty.to_string();
                let fk = self.foreign_key(&column, &written)?;
                // The clauses after NOT VALID would be a syntax error.
                format!("ADD {name}FOREIGN KEY ({column}) {fk}{enforced}{not_valid}")
            }
            9 => {
                let unique: Vec<&Relation> = self
                    .cat
                    .indexes_of(rel.id)
                    .into_iter()
                    .filter(|r| r.index.as_ref().is_some_and(|i| i.unique && !i.constraint))
                    .collect();
                let index = unique.first()?;
                format!("ADD {name}{} USING INDEX {}", self.of(&["UNIQUE", "PRIMARY KEY"]), ident(&index.name))
            }
            10 if self.cat.pg.0 >= 18 => format!("ADD {name}NOT NULL {column}{not_valid}"),
            _ => format!("ADD {name}EXCLUDE USING btree ({column} WITH =)"),
        })
    }

    pub fn alter_partition(&mut self) -> Option<String> {
        let parent = self.of_kind(RelKind::PartitionedTable)?;
        let name = self.name(parent);
        let children: Vec<&Relation> = self.cat.children_of(parent.id).into_iter().filter_map(|id| self.cat.relation(id)).collect();
        if self.chance(50) {
            let child = match children.is_empty() {
                true if self.chance(95) => return None,
                false if self.chance(95) => children[self.rng.usize(0..children.len())],
                _ => self.table()?,
            };
            let how = match self.rng.u32(0..30) {
                0..4 => " CONCURRENTLY",
                4 => " FINALIZE",
                _ => "",
            };
            return Some(format!("ALTER TABLE {name} DETACH PARTITION {}{how}", self.name(child)));
        }
        // A table of the same columns, where there is one.
        let same = |r: &Relation| {
            r.kind == RelKind::Table
                && r.parents.is_empty()
                && r.persistence == parent.persistence
                && !r.columns.iter().any(|c| c.identity.is_some())
                && r.columns.len() == parent.columns.len()
                && r.columns.iter().all(|c| parent.column(&c.name).is_some_and(|p| p.ty == c.ty && (c.not_null || !p.not_null)))
        };
        let part = if self.chance(85) { self.relation(same)? } else { self.table()? };
        let bound = self.bound(parent);
        Some(format!("ALTER TABLE {name} ATTACH PARTITION {} {bound}", self.name(part)))
    }

    /// A table that could become a partition: empty, with the parent's columns.
    pub fn partition_candidate(&mut self) -> Option<String> {
        let parent = self.relation(|r| r.kind == RelKind::PartitionedTable)?;
        let name = self.new_qualified("cand");
        let extra = self.of(&["", " INCLUDING ALL", " INCLUDING DEFAULTS"]);
        Some(format!("CREATE TABLE {name} (LIKE {}{extra})", qualified(&parent.schema, &parent.name)))
    }

    pub fn alter_index(&mut self) -> Option<String> {
        let index = self.relation(|r| r.kind.is_index())?;
        let name = self.name(index);
        Some(match self.rng.u32(0..7) {
            6 if self.cat.objects.keys().any(|k| k.0 == ObjectKind::Extension) => {
                // The other way round, DROP EXTENSION takes the index along, which the catalog does not follow.
                format!("ALTER INDEX {name} NO DEPENDS ON EXTENSION citext")
            }
            0 => format!("ALTER INDEX {name} RENAME TO {}", self.fresh("rix")),
            1 => format!("ALTER INDEX {name} SET (fillfactor = 80)"),
            2 => format!("ALTER INDEX {name} RESET (fillfactor)"),
            3 => format!("ALTER INDEX {name} ALTER COLUMN 1 SET STATISTICS 40"),
            4 => format!("ALTER INDEX {name} SET TABLESPACE pg_default"),
            _ => {
                let table = index.index.as_ref().and_then(|i| self.cat.relation(i.table))?;
                let fits = |r: &Relation| match (&r.index, &index.index) {
                    (Some(p), Some(i)) => {
                        table.parents.contains(&p.table) && p.columns == i.columns && p.unique == i.unique && p.method == i.method
                    }
                    _ => false,
                };
                let parent = match self.relation(fits) {
                    Some(p) => p,
                    None if self.chance(5) => self.relation(|r| r.kind == RelKind::PartitionedIndex)?,
                    None => return None,
                };
                format!("ALTER INDEX {} ATTACH PARTITION {name}", self.name(parent))
            }
        })
    }

    /// A table of a composite type has its columns and no others.
    pub fn typed(&mut self) -> Option<String> {
        if let Some(rel) = self.relation(|r| r.of_type.is_some())
            && self.chance(50)
        {
            return Some(format!("ALTER TABLE {} NOT OF", self.name(rel)));
        }
        let composite = self.composite()?;
        let rel = self.relation(|r| {
            let same = r.columns.len() == composite.columns.len()
                && r.columns.iter().zip(&composite.columns).all(|(a, b)| a.name == b.name && a.ty == b.ty);
            r.kind == RelKind::Table && r.parents.is_empty() && same
        })?;
        Some(format!("ALTER TABLE {} OF {}", qualified(&rel.schema, &rel.name), self.name(composite)))
    }

    /// Makes what an index of a partitioned table lacks on one of its partitions, and then attaches it.
    pub fn missing_part(&mut self) -> Option<String> {
        let parent =
            self.relation(|r| r.kind == RelKind::PartitionedIndex && r.index.as_ref().is_some_and(|i| !i.valid && !i.constraint))?;
        let p = parent.index.as_ref()?;
        let has = |id: crate::catalog::Id, f: &dyn Fn(&crate::catalog::Index) -> bool| {
            self.cat.indexes_of(id).into_iter().find(|r| r.index.as_ref().is_some_and(f))
        };
        let child = self.cat.children_of(p.table).into_iter().find(|c| has(*c, &|i| i.parent == Some(parent.id)).is_none())?;
        let alike = |i: &crate::catalog::Index| {
            let plain = i.include == p.include && i.filter.is_none() == p.filter.is_none() && i.method == p.method;
            i.parent.is_none() && i.valid && i.columns == p.columns && i.unique == p.unique && plain
        };
        match has(child, &alike) {
            Some(i) => {
                let i = self.name(i);
                Some(format!("ALTER INDEX {} ATTACH PARTITION {i}", self.name(parent)))
            }
            None if p.include.is_empty() && p.filter.is_none() && p.columns.iter().all(Option::is_some) => {
                let (name, unique) = (self.fresh("ix"), if p.unique { "UNIQUE " } else { "" });
                let table = self.cat.relation(child)?;
                Some(format!(
                    "CREATE {unique}INDEX {name} ON {} USING {} ({})",
                    qualified(&table.schema, &table.name),
                    p.method,
                    crate::quote::idents(p.columns.iter().flatten())
                ))
            }
            None => None,
        }
    }

    pub fn alter_view(&mut self) -> Option<String> {
        if self.chance(50) {
            let view = self.of_kind(RelKind::View)?;
            let name = self.name(view);
            return Some(match self.rng.u32(0..7) {
                0 => format!("ALTER VIEW {name} RENAME TO {}", self.fresh("rv")),
                1 => format!("ALTER VIEW {name} SET (security_barrier = true)"),
                2 => format!("ALTER VIEW {name} RESET (security_barrier)"),
                3 => format!("ALTER VIEW {name} RENAME COLUMN {} TO {}", self.column(view)?, self.fresh("rc")),
                4 => format!("ALTER VIEW {name} ALTER COLUMN {} SET DEFAULT NULL", self.column(view)?),
                5 => format!("ALTER VIEW {name} SET SCHEMA {}", self.of(&["app", "public"])),
                _ => format!("ALTER VIEW {name} OWNER TO CURRENT_USER"),
            });
        }
        let view = self.of_kind(RelKind::MaterializedView)?;
        let name = self.name(view);
        Some(match self.rng.u32(0..6) {
            0 => format!("ALTER MATERIALIZED VIEW {name} RENAME TO {}", self.fresh("rmv")),
            1 => format!("ALTER MATERIALIZED VIEW {name} SET (fillfactor = 60)"),
            2 => format!("ALTER MATERIALIZED VIEW {name} RENAME COLUMN {} TO {}", self.column(view)?, self.fresh("rc")),
            3 => format!("ALTER MATERIALIZED VIEW {name} SET SCHEMA {}", self.of(&["app", "public"])),
            4 => format!("ALTER MATERIALIZED VIEW {name} ALTER COLUMN {} SET STATISTICS 9", self.column(view)?),
            _ => format!("ALTER MATERIALIZED VIEW {name} OWNER TO CURRENT_USER"),
        })
    }

    pub fn alter_sequence(&mut self) -> Option<String> {
        let seq = self.of_kind(RelKind::Sequence)?;
        let name = self.name(seq);
        Some(match self.rng.u32(0..7) {
            0 => format!("ALTER SEQUENCE {name} RESTART WITH 50"),
            1 => format!("ALTER SEQUENCE {name} INCREMENT BY 5"),
            2 => format!("ALTER SEQUENCE {name} AS bigint"),
            3 => format!("ALTER SEQUENCE {name} OWNED BY NONE"),
            4 => {
                let rel = self.table()?;
                format!("ALTER SEQUENCE {name} OWNED BY {}.{}", self.name(rel), self.column(rel)?)
            }
            5 => format!("ALTER SEQUENCE {name} RENAME TO {}", self.fresh("rsq")),
            _ if seq.sequence.as_ref().is_some_and(|s| s.owned_by.is_some()) && self.chance(85) => return None,
            _ => format!("ALTER SEQUENCE {name} SET SCHEMA {}", self.of(&["app", "public"])),
        })
    }
}
