//! SQL that several recipes share. Plain SQL: nothing but Postgres is needed when it runs.

use crate::catalog::{Catalog, ColumnType, Relation};
use crate::quote::{generated_name, ident, idents, literal, qualified};

use super::PlanOptions;

pub fn table(rel: &Relation) -> String {
    qualified(&rel.schema, &rel.name)
}

/// Bounds the wait of the statement behind it, inside of its transaction.
pub fn lock_timeout(options: &PlanOptions) -> String {
    format!("SET LOCAL lock_timeout = {}", literal(&format!("{}ms", options.lock_timeout_ms)))
}

/// A type as SQL, under the name that it has in this catalog.
pub fn type_sql(catalog: &Catalog, ty: &ColumnType) -> String {
    match ty.id.and_then(|id| catalog.types.get(&id)) {
        Some(t) => {
            let mods = if ty.modifiers.is_empty() { String::new() } else { format!("({})", ty.modifiers.join(",")) };
            format!("{}{mods}{}", qualified(&t.schema, &t.name), if ty.is_array() { "[]" } else { "" })
        }
        None => ty.to_string(),
    }
}

/// An undo of what may stay, and the forward half of what matters only when it is undone.
pub const NOTHING: &str = "SELECT 1";

/// `SET search_path = …` for a function that evaluates the migration's own expressions: names mean there what they mean in the file.
pub fn search_path(catalog: &Catalog) -> String {
    let names: Vec<String> = catalog.search_path.iter().filter(|s| *s != "$user").map(|s| ident(s)).collect();
    format!("SET search_path = {}", if names.is_empty() { "''".to_string() } else { names.join(", ") })
}

/// How the value of one column comes out of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Another column of the row, as it is.
    Copy(String),
    /// Another column of the row, cast to a type.
    Cast { column: String, ty: String },
    /// The same where the value lies within the bounds, else NULL.
    Clamp { column: String, ty: String, low: &'static str, high: &'static str },
    /// Another column of the row by its text: what is assigned to reads it. No type is named, so types may be renamed meanwhile.
    Text(String),
    /// Another column of the row, through a function of the plan's own (see `guard`).
    Guarded { column: String, function: String },
    /// Nothing: the trigger says what stands there.
    Null,
    /// A default: it reads no column, and is asked again for every row.
    Default(String),
    /// An expression of the user's, which speaks of columns by the names of one release: name → column of the table.
    Told { sql: String, table: String, names: Vec<(String, String)> },
}

impl Value {
    /// As SQL, of the row called `row`. Texts of users stand as they were written: what they name is provided around them.
    pub fn of(&self, row: &str) -> String {
        match self {
            Value::Copy(c) => format!("{row}.{}", ident(c)),
            Value::Cast { column, ty } => format!("{row}.{}::{ty}", ident(column)),
            Value::Clamp { column, ty, low, high } => {
                let c = format!("{row}.{}", ident(column));
                format!("CASE WHEN {c} BETWEEN {low} AND {high} THEN {c}::{ty} END")
            }
            Value::Text(c) => format!("{row}.{}::text", ident(c)),
            Value::Guarded { column, function } => format!("{function}({row}.{})", ident(column)),
            Value::Null => "NULL".into(),
            // In a query of its own it would be asked once for all rows.
            Value::Default(sql) => format!("({sql})"),
            // In a query of its own a bare literal would be text; where it stands alone it is what the column is.
            Value::Told { sql, .. } if is_literal(sql) => sql.clone(),
            Value::Told { sql, table, names } => {
                let columns: Vec<String> = names.iter().map(|(n, c)| format!("{row}.{} AS {}", ident(c), ident(n))).collect();
                format!("(SELECT {sql} FROM (SELECT {}) AS {})", columns.join(", "), ident(table))
            }
        }
    }

    /// The same with a column of the table under another name.
    pub fn renamed(&self, from: &str, to: &str) -> Value {
        let swap = |c: &String| if c == from { to.to_string() } else { c.clone() };
        match self {
            Value::Copy(c) => Value::Copy(swap(c)),
            Value::Cast { column, ty } => Value::Cast { column: swap(column), ty: ty.clone() },
            Value::Clamp { column, ty, low, high } => Value::Clamp { column: swap(column), ty: ty.clone(), low, high },
            Value::Text(c) => Value::Text(swap(c)),
            Value::Guarded { column, function } => Value::Guarded { column: swap(column), function: function.clone() },
            Value::Null => Value::Null,
            Value::Default(sql) => Value::Default(sql.clone()),
            Value::Told { sql, table, names } => {
                Value::Told { sql: sql.clone(), table: table.clone(), names: names.iter().map(|(n, c)| (n.clone(), swap(c))).collect() }
            }
        }
    }
}

/// A string without a type, or NULL.
fn is_literal(sql: &str) -> bool {
    let sql = sql.trim();
    let inside = sql.strip_prefix('\'').and_then(|s| s.strip_suffix('\''));
    sql.eq_ignore_ascii_case("null") || inside.is_some_and(|s| !s.replace("''", "").contains('\''))
}

/// A function that casts a value as an assignment does, and gives NULL for a value that the new type does not take: a write of N-1 is
/// never refused because of it, and the contract finds the rows that are not filled. The result's type is bound when it is made.
pub fn guard(name: &str, old: &str, new: &str, second: &str, expr: &str) -> String {
    // The second column's type, by the column: the type may get another name.
    let body = format!(
        "\nDECLARE\n  airlock_new {second}%TYPE;\nBEGIN\n  airlock_new := {expr};\n  RETURN airlock_new;\nEXCEPTION WHEN data_exception OR integrity_constraint_violation THEN\n  RETURN NULL;\nEND\n"
    );
    format!("CREATE FUNCTION {name}(airlock_value {old}) RETURNS {new} LANGUAGE plpgsql AS {}", crate::quote::dollar(&body))
}

/// Two columns of one row that say the same, one for each release.
#[derive(Debug, Clone)]
pub struct Pair {
    pub old: String,
    pub new: String,
    pub up: Value,
    pub down: Value,
}

/// A column that gets a value where none was given.
#[derive(Debug, Clone)]
pub struct Filled {
    pub column: String,
    pub value: Value,
    /// It becomes NOT NULL: no write leaves it empty. Otherwise a NULL that replaces a value stays.
    pub required: bool,
    /// Columns that N-1 alone writes: when one of them changes, the value is made anew.
    pub watch: Vec<String>,
}

/// A column of N-1 that takes its value from columns of N.
#[derive(Debug, Clone)]
pub struct Back {
    pub column: String,
    pub value: Value,
    pub watch: Vec<String>,
}

/// A trigger that keeps columns of a row in step, whoever writes: one for each table.
///
/// It compares values and nothing else: neither session state nor the caller's search path tells who writes. Whichever side *changed*
/// drives the other, so that an update of an unrelated column never brings an older value back. Values are compared as text, which
/// every type has. Its name sorts last, because triggers fire in the order of their names.
pub struct Sync<'a> {
    pub catalog: &'a Catalog,
    pub table: &'a Relation,
    pub pairs: Vec<Pair>,
    pub fills: Vec<Filled>,
    pub backs: Vec<Back>,
    /// Release N-1 is gone: only the way back is kept open, and nothing that N writes is refused for it.
    pub parked: bool,
}

impl Sync<'_> {
    fn name(&self) -> String {
        generated_name("zzzz_airlock_", &[&self.table.name, "sync"])
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.fills.is_empty() && self.backs.is_empty()
    }

    pub fn create(&self) -> Vec<String> {
        if self.is_empty() {
            return Vec::new();
        }
        let f = qualified(&self.table.schema, &self.name());
        // A column may be called like a variable of the function.
        let mut body = String::from("\n#variable_conflict use_column\nBEGIN\n");
        for p in &self.pairs {
            let (old, new) = (ident(&p.old), ident(&p.new));
            let (up, down) = (p.up.of("NEW"), p.down.of("NEW"));
            if self.parked {
                let back = match &p.down {
                    Value::Copy(_) | Value::Clamp { .. } => format!("    NEW.{old} := {down};\n"),
                    _ => format!(
                        "    BEGIN\n      NEW.{old} := {down};\n    EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN\n      NEW.{old} := NULL;\n    END;\n"
                    ),
                };
                body.push_str(&format!(
                    "  IF TG_OP = 'INSERT' OR NEW.{new}::text IS DISTINCT FROM OLD.{new}::text THEN\n{back}  END IF;\n"
                ));
                continue;
            }
            // A backfill writes what the old column says: a way back that loses something must not follow it.
            let back = match &p.up {
                Value::Told { .. } => {
                    format!("IF NEW.{new}::text IS DISTINCT FROM ({up})::text THEN\n      NEW.{old} := {down};\n    END IF;")
                }
                _ => format!("NEW.{old} := {down};"),
            };
            body.push_str(&format!(
                "  IF TG_OP = 'INSERT' THEN\n    IF NEW.{new} IS NOT NULL THEN\n      NEW.{old} := {down};\n    ELSE\n      NEW.{new} := {up};\n    END IF;\n  \
                 ELSIF NEW.{new}::text IS DISTINCT FROM OLD.{new}::text THEN\n    {back}\n  \
                 ELSIF NEW.{old}::text IS DISTINCT FROM OLD.{old}::text OR NEW.{new} IS NULL THEN\n    NEW.{new} := {up};\n  END IF;\n"
            ));
        }
        let changed = |columns: &[String]| {
            let each = columns.iter().map(|c| format!("NEW.{0}::text IS DISTINCT FROM OLD.{0}::text", ident(c)));
            each.collect::<Vec<_>>().join(" OR ")
        };
        for b in &self.backs {
            let given = b.watch.iter().map(|c| format!("NEW.{} IS NOT NULL", ident(c))).collect::<Vec<_>>().join(" OR ");
            body.push_str(&format!(
                "  IF (TG_OP = 'INSERT' AND ({given})) OR (TG_OP = 'UPDATE' AND ({})) THEN\n    NEW.{} := {};\n  END IF;\n",
                changed(&b.watch),
                ident(&b.column),
                b.value.of("NEW")
            ));
        }
        for f in &self.fills {
            let (c, v) = (ident(&f.column), f.value.of("NEW"));
            let mut when = match f.required {
                true => format!("NEW.{c} IS NULL"),
                false => format!("NEW.{c} IS NULL AND (TG_OP = 'INSERT' OR OLD.{c} IS NULL)"),
            };
            if !f.watch.is_empty() {
                when = format!(
                    "({when}) OR (TG_OP = 'UPDATE' AND NEW.{c}::text IS NOT DISTINCT FROM OLD.{c}::text AND ({}))",
                    changed(&f.watch)
                );
            }
            body.push_str(&format!("  IF {when} THEN\n    NEW.{c} := {v};\n  END IF;\n"));
        }
        body.push_str("  RETURN NEW;\nEND\n");
        vec![trigger_function(self.catalog, &f, &body), row_trigger(&self.name(), &table(self.table), &f)]
    }

    pub fn drop(&self) -> Vec<String> {
        if self.is_empty() {
            return Vec::new();
        }
        vec![
            format!("DROP TRIGGER {} ON {}", ident(&self.name()), table(self.table)),
            format!("DROP FUNCTION {}()", qualified(&self.table.schema, &self.name())),
        ]
    }
}

/// A trigger that computes one column at every write, and its function.
pub struct Computed {
    pub name: String,
    pub function: String,
    pub trigger: String,
    pub drop_function: String,
    pub drop_trigger: String,
}

/// Its name sorts behind that of `Sync`, whose columns it may read.
pub fn computed(catalog: &Catalog, rel: &Relation, column: &str, value: &Value) -> Computed {
    let name = generated_name("zzzz_airlock_zzzz_", &[&rel.name, column]);
    of_body(catalog, rel, &name, &format!("  NEW.{} := {};\n", ident(column), value.of("NEW")))
}

/// The same for a column that another release gives: a value that is given stays, until what it is computed from changes and it does not.
pub fn computed_unless_given(catalog: &Catalog, rel: &Relation, column: &str, value: &Value, reads: &[String]) -> Computed {
    let name = generated_name("zzzz_airlock_zzzz_", &[&rel.name, column]);
    let (c, value) = (ident(column), value.of("NEW"));
    let changed = reads.iter().map(|r| format!("NEW.{0}::text IS DISTINCT FROM OLD.{0}::text", ident(r))).collect::<Vec<_>>().join(" OR ");
    let update = match changed.is_empty() {
        true => String::new(),
        false => format!("  ELSIF NEW.{c}::text IS NOT DISTINCT FROM OLD.{c}::text AND ({changed}) THEN\n    NEW.{c} := {value};\n"),
    };
    let body =
        format!("  IF TG_OP = 'INSERT' THEN\n    IF NEW.{c} IS NULL THEN\n      NEW.{c} := {value};\n    END IF;\n{update}  END IF;\n");
    of_body(catalog, rel, &name, &body)
}

fn of_body(catalog: &Catalog, rel: &Relation, name: &str, work: &str) -> Computed {
    let (f, on) = (qualified(&rel.schema, name), table(rel));
    let body = format!("\n#variable_conflict use_column\nBEGIN\n{work}  RETURN NEW;\nEND\n");
    Computed {
        function: trigger_function(catalog, &f, &body),
        trigger: row_trigger(name, &on, &f),
        drop_function: format!("DROP FUNCTION {f}()"),
        drop_trigger: format!("DROP TRIGGER {} ON {on}", ident(name)),
        name: name.to_string(),
    }
}

fn trigger_function(catalog: &Catalog, name: &str, body: &str) -> String {
    format!("CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql {} AS {}", search_path(catalog), crate::quote::dollar(body))
}

fn row_trigger(name: &str, on: &str, function: &str) -> String {
    format!("CREATE TRIGGER {} BEFORE INSERT OR UPDATE ON {on} FOR EACH ROW EXECUTE FUNCTION {function}()", ident(name))
}

/// A function that writes into another table for whoever writes into its own: by the rights of the role that made it, for a role of one release
/// may have none on the tables of the other. Temporary objects come last in its search path, and nobody calls it but triggers.
pub fn definer_function(catalog: &Catalog, name: &str, body: &str) -> [String; 2] {
    let schemas = catalog.search_path.iter().filter(|s| *s != "$user" && *s != "pg_catalog" && *s != "pg_temp").map(|s| ident(s));
    let path: Vec<String> = std::iter::once("pg_catalog".to_string()).chain(schemas).chain(["pg_temp".to_string()]).collect();
    [
        format!(
            "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = {} AS {}",
            path.join(", "),
            crate::quote::dollar(body)
        ),
        format!("REVOKE EXECUTE ON FUNCTION {name}() FROM PUBLIC"),
    ]
}

/// One column that a backfill writes.
#[derive(Debug, Clone)]
pub struct Assignment {
    pub column: String,
    pub value: Value,
    /// The rows in which it is still to be done; `airlock_t` is the row.
    pub todo: String,
    /// A column of N-1: which rows were NULL is lost.
    pub overwrites: bool,
}

impl Assignment {
    /// Fills what is empty. A value that may be NULL is written only where it is none: the others have nothing to be filled with.
    pub fn fill(column: &str, value: Value, never_null: bool) -> Assignment {
        let empty = format!("airlock_t.{} IS NULL", ident(column));
        let todo = if never_null { empty } else { format!("{empty} AND ({}) IS NOT NULL", value.of("airlock_t")) };
        Assignment { column: column.into(), value, todo, overwrites: false }
    }
}

/// Fills columns in batches, each in a transaction of its own: one statement, run outside of a transaction.
///
/// It goes through the primary key page by page, so it can be stopped and run again; what is already right is not written.
pub fn backfill(catalog: &Catalog, rel: &Relation, assignments: &[Assignment], options: &PlanOptions) -> String {
    let t = table(rel);
    let set = assignments
        .iter()
        .map(|a| match assignments.len() {
            1 => format!("{} = {}", ident(&a.column), a.value.of("airlock_t")),
            // A column that is right already keeps its value, whatever brings the row here.
            _ => format!("{0} = CASE WHEN {1} THEN {2} ELSE airlock_t.{0} END", ident(&a.column), a.todo, a.value.of("airlock_t")),
        })
        .collect::<Vec<_>>()
        .join(", ");
    let todo = match assignments {
        [one] => one.todo.clone(),
        several => format!("({})", several.iter().map(|a| format!("({})", a.todo)).collect::<Vec<_>>().join(" OR ")),
    };
    paged(catalog, rel, "airlock_t", options, &|page| format!("UPDATE {t} AS airlock_t SET {set} WHERE {page} AND {todo}"))
}

/// Runs a statement for one page of a table's rows after the other. `row` is how the statement calls a row of the table.
pub fn paged(catalog: &Catalog, rel: &Relation, row: &str, options: &PlanOptions, statement: &dyn Fn(&str) -> String) -> String {
    let t = table(rel);
    let pause = format!("    PERFORM pg_sleep({});\n", f64::from(options.pause_ms) / 1000.0);
    let body = match key(catalog, rel) {
        Some(key) => {
            let vars = |p: &str| (0..key.len()).map(|i| ident(&format!("airlock_{p}{i}"))).collect::<Vec<_>>();
            let (last, next, end) = (vars("last"), vars("next"), vars("end"));
            let declare: String = key
                .iter()
                .zip(last.iter().zip(next.iter().zip(&end)))
                .map(|(k, (l, (n, e)))| format!("  {l} {t}.{0}%TYPE;\n  {n} {t}.{0}%TYPE;\n  {e} {t}.{0}%TYPE;\n", ident(k)))
                .collect();
            let columns = key.iter().map(|k| format!("{row}.{}", ident(k))).collect::<Vec<_>>().join(", ");
            let order = idents(&key);
            let back = key.iter().map(|k| format!("{} DESC", ident(k))).collect::<Vec<_>>().join(", ");
            let after = format!("({} IS NULL OR ({columns}) > ({}))", last[0], last.join(", "));
            // What comes behind the last row of now is written with the trigger in place: without this bound a busy table has no end.
            let until = format!("SELECT {columns} INTO {} FROM {t} AS {row} ORDER BY {} LIMIT 1", end.join(", "), desc(&key, row));
            let advance: String = last.iter().zip(&next).map(|(l, n)| format!("    {l} := {n};\n")).collect();
            format!(
                "\nDECLARE\n{declare}BEGIN\n  {until};\n  LOOP\n    SELECT {order} INTO {} FROM (SELECT {columns} FROM {t} AS {row} WHERE {after} AND ({columns}) <= ({}) ORDER BY {columns} LIMIT {}) AS airlock_page ORDER BY {back} LIMIT 1;\n    \
                 EXIT WHEN {} IS NULL;\n    {};\n    COMMIT;\n{advance}{pause}  END LOOP;\nEND\n",
                next.join(", "),
                end.join(", "),
                options.batch_size,
                next[0],
                statement(&format!("{after} AND ({columns}) <= ({})", next.join(", "))),
            )
        }
        // Without a key: by blocks of the file. A row that moved has moved to a later block.
        None => format!(
            "\nDECLARE\n  airlock_block bigint := 0;\nBEGIN\n  WHILE airlock_block <= ({0}) / current_setting('block_size')::bigint LOOP\n    \
             {1};\n    COMMIT;\n    airlock_block := airlock_block + 32;\n{pause}  END LOOP;\nEND\n",
            size(catalog, rel),
            statement(&format!(
                "{row}.ctid >= format('(%s,0)', airlock_block)::tid AND {row}.ctid < format('(%s,0)', airlock_block + 32)::tid"
            )),
        ),
    };
    format!("DO {}", crate::quote::dollar(&body))
}

/// Bytes of the table's file; of the largest one, where it has children.
fn size(catalog: &Catalog, rel: &Relation) -> String {
    let t = literal(&table(rel));
    if catalog.children_of(rel.id).is_empty() {
        return format!("pg_relation_size({t}::regclass)");
    }
    format!(
        "WITH RECURSIVE airlock_tree AS (SELECT {t}::regclass::oid AS airlock_id UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i \
         JOIN airlock_tree ON i.inhparent = airlock_id) SELECT max(pg_relation_size(airlock_id::regclass)) FROM airlock_tree"
    )
}

fn desc(key: &[String], row: &str) -> String {
    key.iter().map(|k| format!("{row}.{} DESC", ident(k))).collect::<Vec<_>>().join(", ")
}

/// Columns that identify a row: the primary key, or a unique index over columns that are never NULL.
pub fn key(catalog: &Catalog, rel: &Relation) -> Option<Vec<String>> {
    if let Some(k) = rel.primary_key() {
        return Some(k.kind.columns().to_vec());
    }
    catalog.indexes_of(rel.id).into_iter().filter_map(|i| i.index.as_ref()).find_map(|i| {
        let columns: Option<Vec<String>> = i.columns.iter().cloned().collect();
        columns.filter(|c| i.unique && i.valid && i.filter.is_none() && c.iter().all(|n| rel.column(n).is_some_and(|c| c.not_null)))
    })
}

/// The steps to NOT NULL that never read the table under a strong lock, for several columns at once: title, statements, undo. Each is
/// a step of its own, the second outside of a transaction.
pub fn not_null(rel: &Relation, columns: &[String]) -> [(&'static str, Vec<String>, Vec<String>); 4] {
    let t = table(rel);
    let name = |c: &String| ident(&generated_name("airlock_", &[&rel.name, c, "not_null"]));
    let all = |f: &dyn Fn(&String) -> String| format!("ALTER TABLE {t} {}", columns.iter().map(f).collect::<Vec<_>>().join(", "));
    let add = all(&|c| format!("ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID", name(c), ident(c)));
    let add_valid = all(&|c| format!("ADD CONSTRAINT {} CHECK ({} IS NOT NULL)", name(c), ident(c)));
    let drop = all(&|c| format!("DROP CONSTRAINT {}", name(c)));
    let validate = columns.iter().map(|c| format!("ALTER TABLE {t} VALIDATE CONSTRAINT {}", name(c))).collect();
    [
        ("refuse new NULLs", vec![add.clone()], vec![drop.clone()]),
        ("prove that no NULL is left", validate, vec![drop.clone(), add]),
        (
            "set NOT NULL",
            vec![all(&|c| format!("ALTER COLUMN {} SET NOT NULL", ident(c)))],
            vec![all(&|c| format!("ALTER COLUMN {} DROP NOT NULL", ident(c)))],
        ),
        ("drop the helping constraint", vec![drop], vec![add_valid]),
    ]
}
