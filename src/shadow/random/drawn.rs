//! Schemas, rows and migrations over the catalogue of recipes, drawn at random.

use fastrand::Rng;

use crate::quote::{ident, literal, qualified};

/// A schema, a migration, and what a person would answer.
#[derive(Default)]
pub struct Drawn {
    pub base: String,
    pub migration: Vec<String>,
    pub answers: Vec<String>,
    pub renames: Vec<String>,
}

#[derive(Clone)]
struct Col {
    name: String,
    /// What release N-1 calls it.
    known: String,
    ty: &'static str,
    required: bool,
}

struct Table {
    name: String,
    known: String,
    key: &'static str,
    cols: Vec<Col>,
    indexes: Vec<String>,
    checks: Vec<String>,
    /// Other tables refer to it, or a view shows it.
    held: bool,
}

const TYPES: [&str; 10] = ["int", "bigint", "smallint", "text", "varchar(20)", "boolean", "numeric(8,2)", "timestamptz", "date", "mood"];
const LABELS: [&str; 3] = ["sad", "ok", "glad"];

fn value(rng: &mut Rng, ty: &str, row: usize) -> String {
    match ty {
        "int" | "bigint" | "smallint" => (rng.i32(-50..50) * 100 + row as i32).to_string(),
        "boolean" => rng.bool().to_string(),
        "numeric(8,2)" => format!("{}.{:02}", rng.u32(0..999), rng.u32(0..100)),
        "timestamptz" => format!("'2024-01-{:02} 10:00:00+00'", row % 28 + 1),
        "date" => format!("'2024-02-{:02}'", row % 28 + 1),
        "mood" => literal(LABELS[rng.usize(0..LABELS.len())]),
        _ => format!("'v{row} {}'", rng.u32(0..9)),
    }
}

/// What a column of one type may become, without a question.
fn wider(rng: &mut Rng, ty: &str) -> Option<&'static str> {
    let list: &[&str] = match ty {
        "smallint" => &["int", "bigint", "numeric", "text"],
        "int" => &["bigint", "numeric", "text"],
        "bigint" => &["numeric", "text"],
        "text" => &["varchar(90)"],
        "varchar(20)" => &["text", "varchar(40)", "varchar(12)"],
        "numeric(8,2)" => &["numeric(10,2)", "numeric", "text"],
        "date" => &["timestamp"],
        _ => &[],
    };
    (!list.is_empty()).then(|| list[rng.usize(0..list.len())])
}

pub fn draw(seed: u64) -> Drawn {
    let mut d = Draw::new(seed);
    d.base();
    let wanted = d.rng.usize(1..5);
    // Not every operation fits every table.
    for _ in 0..60 {
        if d.out.migration.len() >= wanted || d.tables.is_empty() {
            break;
        }
        let at = d.rng.usize(0..d.tables.len());
        d.fresh += 1;
        let op = OPS[d.rng.usize(0..OPS.len())];
        if let Some(sql) = op(&mut d, at) {
            d.out.migration.push(sql);
        }
    }
    d.out
}

struct Draw {
    rng: Rng,
    /// Names need quotes.
    odd: bool,
    schema: &'static str,
    tables: Vec<Table>,
    fresh: usize,
    out: Drawn,
}

type Op = fn(&mut Draw, usize) -> Option<String>;

const OPS: [Op; 34] = [
    Draw::add_required,
    Draw::add_nullable,
    Draw::add_default,
    Draw::add_constant,
    Draw::add_reference,
    Draw::add_filled,
    Draw::retype,
    Draw::retype,
    Draw::narrow,
    Draw::key_to_bigint,
    Draw::rename_column,
    Draw::rename_column,
    Draw::rename_table,
    Draw::drop_column,
    Draw::replace_column,
    Draw::drop_table,
    Draw::set_not_null,
    Draw::drop_not_null,
    Draw::set_default,
    Draw::drop_default,
    Draw::check,
    Draw::unique,
    Draw::index,
    Draw::drop_index,
    Draw::drop_check,
    Draw::new_table,
    Draw::move_column,
    Draw::merge_columns,
    Draw::label_goes,
    Draw::label_comes,
    Draw::another_key,
    Draw::data,
    Draw::comment,
    Draw::grant,
];

impl Draw {
    fn new(seed: u64) -> Draw {
        let mut rng = Rng::with_seed(seed);
        let (odd, schema) = (rng.u8(0..6) == 0, if rng.u8(0..6) == 0 { "app" } else { "public" });
        Draw { rng, odd, schema, tables: Vec::new(), fresh: 0, out: Drawn::default() }
    }

    fn chance(&mut self, of_ten: u8) -> bool {
        self.rng.u8(0..10) < of_ten
    }

    fn name(&self, plain: String) -> String {
        if self.odd { format!("{plain} \"Ü") } else { plain }
    }

    fn fresh(&self, prefix: &str) -> String {
        self.name(format!("{prefix}{}", self.fresh))
    }

    /// A table as it stands in SQL.
    fn on(&self, at: usize) -> String {
        self.sql(&self.tables[at].name)
    }

    fn sql(&self, table: &str) -> String {
        if self.schema == "public" { ident(table) } else { qualified(self.schema, table) }
    }

    fn ty(&self, ty: &str) -> String {
        if ty == "mood" { self.sql("mood") } else { ty.to_string() }
    }

    fn value(&mut self, ty: &str, row: usize) -> String {
        value(&mut self.rng, ty, row)
    }

    fn some_type(&mut self) -> &'static str {
        TYPES[self.rng.usize(0..TYPES.len())]
    }

    /// A column that fits; it is not drawn again.
    fn take(&mut self, at: usize, fits: impl Fn(&Col) -> bool) -> Option<Col> {
        let col = self.look(at, fits)?;
        self.tables[at].cols.retain(|c| c.name != col.name);
        Some(col)
    }

    fn look(&mut self, at: usize, fits: impl Fn(&Col) -> bool) -> Option<Col> {
        let fitting: Vec<Col> = self.tables[at].cols.iter().filter(|c| fits(c)).cloned().collect();
        (!fitting.is_empty()).then(|| fitting[self.rng.usize(0..fitting.len())].clone())
    }

    fn base(&mut self) {
        if self.schema != "public" {
            self.out.base += &format!("CREATE SCHEMA {};\n", self.schema);
        }
        self.out.base += &format!("CREATE TYPE {} AS ENUM ({});\n", self.sql("mood"), LABELS.map(literal).join(", "));
        for t in 0..self.rng.usize(1..4) {
            self.table(t);
        }
    }

    fn table(&mut self, t: usize) {
        let name = self.name(format!("t{t}"));
        let on = self.sql(&name);
        let key = ["int", "bigint"][self.rng.usize(0..2)];
        let mut out =
            Table { name: name.clone(), known: name.clone(), key, cols: Vec::new(), indexes: Vec::new(), checks: Vec::new(), held: false };
        let mut defs = vec![format!("id {key} {}", ["PRIMARY KEY", "GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"][self.rng.usize(0..2)])];
        for c in 0..self.rng.usize(2..6) {
            let ty = self.some_type();
            let name = self.name(format!("c{c}"));
            let col = Col { known: name.clone(), name, ty, required: self.chance(4) };
            let mut def = format!("{} {}", ident(&col.name), self.ty(ty));
            if col.required {
                def += " NOT NULL";
            }
            if self.chance(3) {
                def += &format!(" DEFAULT {}", self.value(ty, 7));
            }
            if self.chance(2) && ty != "boolean" && ty != "mood" {
                let check = self.name(format!("t{t}_k{c}"));
                def += &format!(" CONSTRAINT {} CHECK ({} IS DISTINCT FROM {})", ident(&check), ident(&col.name), self.value(ty, 9999));
                out.checks.push(check);
            }
            defs.push(def);
            out.cols.push(col);
        }
        let parent = t > 0 && self.rng.bool();
        if parent {
            self.tables[0].held = true;
            defs.push(format!("parent int REFERENCES {} (id)", self.on(0)));
        }
        self.out.base += &format!("CREATE TABLE {on} ({});\n", defs.join(", "));
        for (i, c) in out.cols.clone().iter().enumerate() {
            if self.chance(4) {
                // Only values with the row's number in them differ.
                let numbered = matches!(c.ty, "int" | "bigint" | "smallint" | "text" | "varchar(20)");
                let unique = if numbered && self.chance(2) { "UNIQUE " } else { "" };
                let index = self.name(format!("t{t}_i{i}"));
                self.out.base += &format!("CREATE {unique}INDEX {} ON {on} ({});\n", ident(&index), ident(&c.name));
                out.indexes.push(index);
            }
        }
        if self.chance(3) {
            self.out.base += &format!("COMMENT ON COLUMN {on}.{} IS 'a remark';\n", ident(&out.cols[0].name));
        }
        if self.chance(2) {
            let view = self.sql(&self.name(format!("v{t}")));
            self.out.base += &format!("CREATE VIEW {view} AS SELECT id, {} FROM {on};\n", ident(&out.cols[0].name));
            out.held = true;
        }
        for row in 1..self.rng.usize(2..14) {
            let mut names = vec!["id".to_string()];
            let mut values = vec![row.to_string()];
            for c in &out.cols {
                names.push(ident(&c.name));
                values.push(if !c.required && self.chance(2) { "NULL".into() } else { self.value(c.ty, row) });
            }
            self.out.base += &format!("INSERT INTO {on} ({}) VALUES ({});\n", names.join(", "), values.join(", "));
        }
        self.tables.push(out);
    }

    fn answer(&mut self, at: usize, column: &str, said: &str) {
        let subject = format!("{}.{column}", self.tables[at].known);
        self.out.answers.push(format!("{subject}: {said}"));
    }

    fn add_required(&mut self, at: usize) -> Option<String> {
        let (ty, c) = (self.some_type(), self.fresh("n"));
        let v = self.value(ty, 3);
        Some(format!("ALTER TABLE {} ADD COLUMN {} {} NOT NULL DEFAULT {v}", self.on(at), ident(&c), self.ty(ty)))
    }

    fn add_nullable(&mut self, at: usize) -> Option<String> {
        let (ty, c) = (self.some_type(), self.fresh("n"));
        Some(format!("ALTER TABLE {} ADD COLUMN {} {}", self.on(at), ident(&c), self.ty(ty)))
    }

    fn add_default(&mut self, at: usize) -> Option<String> {
        let (ty, c) = (self.some_type(), self.fresh("n"));
        let v = self.value(ty, 4);
        Some(format!("ALTER TABLE {} ADD COLUMN {} {} DEFAULT {v}", self.on(at), ident(&c), self.ty(ty)))
    }

    fn add_constant(&mut self, at: usize) -> Option<String> {
        let c = ident(&self.fresh("g"));
        Some(format!("ALTER TABLE {} ADD COLUMN {c} uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000001'", self.on(at)))
    }

    fn add_reference(&mut self, at: usize) -> Option<String> {
        let other = self.rng.usize(0..self.tables.len());
        self.tables[other].held = true;
        let rule = ["", " ON DELETE CASCADE", " ON DELETE SET NULL"][self.rng.usize(0..3)];
        let c = ident(&self.fresh("ref"));
        Some(format!("ALTER TABLE {} ADD COLUMN {c} bigint REFERENCES {} (id){rule}", self.on(at), self.on(other)))
    }

    fn add_filled(&mut self, at: usize) -> Option<String> {
        let col = self.look(at, |_| true)?;
        let (on, new, c) = (self.on(at), ident(&self.fresh("f")), ident(&col.name));
        let (ty, expr) = match col.ty {
            "int" | "bigint" => ("bigint", format!("{c} + 1")),
            "text" | "varchar(20)" => ("text", format!("upper({c})")),
            ty => (ty, c),
        };
        let mut sql = format!("ALTER TABLE {on} ADD COLUMN {new} {};\nUPDATE {on} SET {new} = {expr}", self.ty(ty));
        if col.required && self.chance(5) {
            sql += &format!(";\nALTER TABLE {on} ALTER COLUMN {new} SET NOT NULL");
        }
        Some(sql)
    }

    fn retype(&mut self, at: usize) -> Option<String> {
        let col = self.take(at, |c| c.ty != "boolean" && c.ty != "mood" && c.ty != "timestamptz")?;
        let new = wider(&mut self.rng, col.ty)?;
        Some(format!("ALTER TABLE {} ALTER COLUMN {} TYPE {new}", self.on(at), ident(&col.name)))
    }

    fn narrow(&mut self, at: usize) -> Option<String> {
        let col = self.take(at, |c| matches!(c.ty, "int" | "bigint" | "text" | "timestamptz"))?;
        let c = ident(&col.name);
        let (new, using) = match col.ty {
            "text" => ("varchar(3)", format!(" USING left({c}, 3)")),
            "timestamptz" => ("date", format!(" USING ({c} AT TIME ZONE 'UTC')::date")),
            _ => ("smallint", String::new()),
        };
        if col.ty == "timestamptz" {
            let down = format!("{}::timestamp AT TIME ZONE 'UTC'", c.replace('"', "\\\""));
            self.answer(at, &col.known, &format!("down=\"{down}\""));
        }
        Some(format!("ALTER TABLE {} ALTER COLUMN {c} TYPE {new}{using}", self.on(at)))
    }

    fn key_to_bigint(&mut self, at: usize) -> Option<String> {
        if self.tables[at].key != "int" {
            return None;
        }
        self.tables[at].key = "bigint";
        Some(format!("ALTER TABLE {} ALTER COLUMN id TYPE bigint", self.on(at)))
    }

    fn rename_column(&mut self, at: usize) -> Option<String> {
        let col = self.take(at, |_| true)?;
        let new = self.fresh("r");
        let sql = format!("ALTER TABLE {} RENAME COLUMN {} TO {}", self.on(at), ident(&col.name), ident(&new));
        if self.chance(3) {
            self.tables[at].cols.push(Col { name: new, ..col });
        }
        Some(sql)
    }

    fn rename_table(&mut self, at: usize) -> Option<String> {
        let new = self.fresh("s");
        let sql = format!("ALTER TABLE {} RENAME TO {}", self.on(at), ident(&new));
        self.tables[at].name = new;
        Some(sql)
    }

    fn drop_column(&mut self, at: usize) -> Option<String> {
        let col = self.take(at, |_| true)?;
        self.out.renames.push(format!("{}.{}=", self.tables[at].known, col.known));
        Some(format!("ALTER TABLE {} DROP COLUMN {}", self.on(at), ident(&col.name)))
    }

    /// What looks like a rename, and is none.
    fn replace_column(&mut self, at: usize) -> Option<String> {
        let col = self.take(at, |_| true)?;
        self.out.renames.push(format!("{}.{}=", self.tables[at].known, col.known));
        let new = ident(&self.fresh("n"));
        Some(format!("ALTER TABLE {} DROP COLUMN {}, ADD COLUMN {new} {}", self.on(at), ident(&col.name), self.ty(col.ty)))
    }

    fn drop_table(&mut self, at: usize) -> Option<String> {
        if self.tables[at].held || self.tables.len() < 2 {
            return None;
        }
        self.out.renames.push(format!("{}=", self.tables[at].known));
        let sql = format!("DROP TABLE {}", self.on(at));
        self.tables.remove(at);
        Some(sql)
    }

    fn set_not_null(&mut self, at: usize) -> Option<String> {
        let col = self.take(at, |c| !c.required)?;
        let (on, c, v) = (self.on(at), ident(&col.name), self.value(col.ty, 5));
        Some(format!("UPDATE {on} SET {c} = {v} WHERE {c} IS NULL;\nALTER TABLE {on} ALTER COLUMN {c} SET NOT NULL"))
    }

    fn drop_not_null(&mut self, at: usize) -> Option<String> {
        let col = self.take(at, |c| c.required)?;
        Some(format!("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", self.on(at), ident(&col.name)))
    }

    fn set_default(&mut self, at: usize) -> Option<String> {
        let col = self.look(at, |_| true)?;
        let v = self.value(col.ty, 6);
        Some(format!("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {v}", self.on(at), ident(&col.name)))
    }

    fn drop_default(&mut self, at: usize) -> Option<String> {
        let col = self.look(at, |_| true)?;
        Some(format!("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT", self.on(at), ident(&col.name)))
    }

    fn check(&mut self, at: usize) -> Option<String> {
        let col = self.look(at, |c| c.ty != "boolean" && c.ty != "mood")?;
        let v = self.value(col.ty, 8888);
        let k = ident(&self.fresh("k"));
        Some(format!("ALTER TABLE {} ADD CONSTRAINT {k} CHECK ({} IS DISTINCT FROM {v})", self.on(at), ident(&col.name)))
    }

    fn unique(&mut self, at: usize) -> Option<String> {
        let col = self.look(at, |_| true)?;
        Some(format!("ALTER TABLE {} ADD CONSTRAINT {} UNIQUE ({}, id)", self.on(at), ident(&self.fresh("u")), ident(&col.name)))
    }

    fn index(&mut self, at: usize) -> Option<String> {
        let col = self.look(at, |_| true)?;
        let filter = if self.chance(3) { format!(" WHERE {} IS NOT NULL", ident(&col.name)) } else { String::new() };
        Some(format!("CREATE INDEX {} ON {} ({}){filter}", ident(&self.fresh("x")), self.on(at), ident(&col.name)))
    }

    fn drop_index(&mut self, at: usize) -> Option<String> {
        let index = self.tables[at].indexes.pop()?;
        Some(format!("DROP INDEX {}", self.sql(&index)))
    }

    fn drop_check(&mut self, at: usize) -> Option<String> {
        let check = self.tables[at].checks.pop()?;
        Some(format!("ALTER TABLE {} DROP CONSTRAINT {}", self.on(at), ident(&check)))
    }

    fn new_table(&mut self, at: usize) -> Option<String> {
        let on = self.sql(&self.fresh("new"));
        let owner = if self.chance(5) { format!("bigint REFERENCES {} (id)", self.on(at)) } else { "int".into() };
        Some(format!("CREATE TABLE {on} (id bigint PRIMARY KEY, owner {owner}, note text)"))
    }

    /// A column gets a table of its own.
    fn move_column(&mut self, at: usize) -> Option<String> {
        let col = self.take(at, |_| true)?;
        let (old, new, c, key) = (self.on(at), self.sql(&self.fresh("m")), ident(&col.name), self.tables[at].key);
        self.out.renames.push(format!("{}.{}=", self.tables[at].known, col.known));
        Some(format!(
            "CREATE TABLE {new} (owner {key} PRIMARY KEY, held {} NOT NULL);\n\
             INSERT INTO {new} SELECT id, {c} FROM {old} WHERE {c} IS NOT NULL;\nALTER TABLE {old} DROP COLUMN {c}",
            self.ty(col.ty)
        ))
    }

    fn merge_columns(&mut self, at: usize) -> Option<String> {
        let text = |c: &Col| c.ty == "text" || c.ty == "varchar(20)";
        let a = self.take(at, text)?;
        let b = self.take(at, text)?;
        let (on, whole) = (self.on(at), self.fresh("w"));
        for (i, c) in [&a, &b].into_iter().enumerate() {
            let part = ident(&whole).replace('"', "\\\"");
            self.answer(at, &c.known, &format!("down=\"left(split_part({part}, '/', {}), 20)\"", i + 1));
        }
        let (w, a, b) = (ident(&whole), ident(&a.name), ident(&b.name));
        Some(format!(
            "ALTER TABLE {on} ADD COLUMN {w} text;\nUPDATE {on} SET {w} = {a} || '/' || {b};\nALTER TABLE {on} DROP COLUMN {a}, DROP COLUMN {b}"
        ))
    }

    /// The type is made anew without a label.
    fn label_goes(&mut self, at: usize) -> Option<String> {
        let col = self.take(at, |c| c.ty == "mood")?;
        let (on, c, new) = (self.on(at), ident(&col.name), self.sql(&self.fresh("mood")));
        let old = c.replace('"', "\\\"");
        self.answer(at, &col.known, &format!("up=\"CASE {old}::text WHEN 'ok' THEN 'glad' ELSE {old}::text END\""));
        Some(format!(
            "UPDATE {on} SET {c} = 'glad' WHERE {c} = 'ok';\nCREATE TYPE {new} AS ENUM ('sad', 'glad');\nALTER TABLE {on} ALTER COLUMN {c} DROP DEFAULT;\n\
             ALTER TABLE {on} ALTER COLUMN {c} TYPE {new} USING {c}::text::{new}"
        ))
    }

    fn label_comes(&mut self, _: usize) -> Option<String> {
        Some(format!("ALTER TYPE {} ADD VALUE {}", self.sql("mood"), literal(&self.fresh("l"))))
    }

    fn another_key(&mut self, at: usize) -> Option<String> {
        if self.tables[at].held || self.odd {
            return None;
        }
        let col = self.take(at, |c| c.required)?;
        let (on, k) = (self.on(at), ident(&format!("{}_pkey", self.tables[at].name)));
        self.tables[at].held = true;
        Some(format!("ALTER TABLE {on} DROP CONSTRAINT {k};\nALTER TABLE {on} ADD PRIMARY KEY (id, {})", ident(&col.name)))
    }

    fn data(&mut self, at: usize) -> Option<String> {
        let row = self.rng.usize(1..12);
        if self.chance(3) {
            return Some(format!("DELETE FROM {} WHERE id = {row}", self.on(at)));
        }
        let col = self.look(at, |_| true)?;
        let v = self.value(col.ty, 40 + row);
        Some(format!("UPDATE {} SET {} = {v} WHERE id = {row}", self.on(at), ident(&col.name)))
    }

    fn comment(&mut self, at: usize) -> Option<String> {
        let col = self.look(at, |_| true)?;
        Some(format!("COMMENT ON COLUMN {}.{} IS 'said anew'", self.on(at), ident(&col.name)))
    }

    fn grant(&mut self, at: usize) -> Option<String> {
        Some(format!("GRANT SELECT ON {} TO PUBLIC", self.on(at)))
    }
}
