//! SQL that several recipes share. Plain SQL: nothing but Postgres is needed when it runs.

use crate::catalog::{Catalog, Relation};
use crate::quote::{generated_name, ident, idents, literal, qualified};

use super::PlanOptions;

pub fn table(rel: &Relation) -> String {
    qualified(&rel.schema, &rel.name)
}

/// Bounds the wait of the statement behind it, inside of its transaction.
pub fn lock_timeout(options: &PlanOptions) -> String {
    format!("SET LOCAL lock_timeout = {}", literal(&format!("{}ms", options.lock_timeout_ms)))
}

/// A trigger that keeps two columns of a row in step, whoever writes.
///
/// It compares values and nothing else: neither session state nor the search path tells who writes. Whichever side *changed* drives
/// the other, so that an update of an unrelated column never brings an older value back. Values are compared as text, which every
/// type has and which no search path can change. Its name sorts last, because triggers fire in the order of their names.
pub struct Sync<'a> {
    pub table: &'a Relation,
    pub old: &'a str,
    pub new: &'a str,
    /// Old to new; `{}` stands for the old column's value.
    pub up: &'a str,
    pub down: &'a str,
}

impl Sync<'_> {
    fn name(&self) -> String {
        generated_name("zzzz_airlock_", &[&self.table.name, self.old, "sync"])
    }

    pub fn create(&self) -> Vec<String> {
        let f = qualified(&self.table.schema, &self.name());
        let (old, new) = (ident(self.old), ident(self.new));
        let up = self.up.replace("{}", &format!("NEW.{old}"));
        let down = self.down.replace("{}", &format!("NEW.{new}"));
        let body = format!(
            "\nBEGIN\n  IF TG_OP = 'INSERT' THEN\n    IF NEW.{new} IS NOT NULL THEN\n      NEW.{old} := {down};\n    ELSE\n      NEW.{new} := {up};\n    END IF;\n  \
             ELSIF NEW.{new}::text IS DISTINCT FROM OLD.{new}::text THEN\n    NEW.{old} := {down};\n  \
             ELSIF NEW.{old}::text IS DISTINCT FROM OLD.{old}::text OR NEW.{new} IS NULL THEN\n    NEW.{new} := {up};\n  END IF;\n  RETURN NEW;\nEND\n"
        );
        vec![
            format!(
                "CREATE FUNCTION {f}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS {}",
                crate::quote::dollar(&body)
            ),
            format!(
                "CREATE TRIGGER {} BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION {f}()",
                ident(&self.name()),
                table(self.table)
            ),
        ]
    }

    pub fn drop(&self) -> Vec<String> {
        vec![
            format!("DROP TRIGGER {} ON {}", ident(&self.name()), table(self.table)),
            format!("DROP FUNCTION {}()", qualified(&self.table.schema, &self.name())),
        ]
    }
}

/// Fills a column in batches, each in a transaction of its own: one statement, run outside of a transaction.
///
/// It goes through the primary key page by page, so it can be stopped and run again; what is already right is not written.
pub fn backfill(catalog: &Catalog, rel: &Relation, column: &str, value: &str, todo: &str, options: &PlanOptions) -> String {
    let t = table(rel);
    let set = format!("{} = {value}", ident(column));
    let pause = format!("    PERFORM pg_sleep({});\n", f64::from(options.pause_ms) / 1000.0);
    let body = match key(catalog, rel) {
        Some(key) => {
            let vars = |p: &str| (0..key.len()).map(|i| ident(&format!("airlock_{p}{i}"))).collect::<Vec<_>>();
            let (last, next) = (vars("last"), vars("next"));
            let declare: String = key
                .iter()
                .zip(last.iter().zip(&next))
                .map(|(k, (l, n))| format!("  {l} {t}.{0}%TYPE;\n  {n} {t}.{0}%TYPE;\n", ident(k)))
                .collect();
            let columns = key.iter().map(|k| format!("airlock_t.{}", ident(k))).collect::<Vec<_>>().join(", ");
            let order = idents(&key);
            let back = key.iter().map(|k| format!("{} DESC", ident(k))).collect::<Vec<_>>().join(", ");
            let after = format!("({} IS NULL OR ({columns}) > ({}))", last[0], last.join(", "));
            let advance: String = last.iter().zip(&next).map(|(l, n)| format!("    {l} := {n};\n")).collect();
            format!(
                "\nDECLARE\n{declare}BEGIN\n  LOOP\n    SELECT {order} INTO {} FROM (SELECT {columns} FROM {t} AS airlock_t WHERE {after} ORDER BY {columns} LIMIT {}) AS airlock_page ORDER BY {back} LIMIT 1;\n    \
                 EXIT WHEN {} IS NULL;\n    UPDATE {t} AS airlock_t SET {set} WHERE {after} AND ({columns}) <= ({}) AND {todo};\n    COMMIT;\n{advance}{pause}  END LOOP;\nEND\n",
                next.join(", "),
                options.batch_size,
                next[0],
                next.join(", "),
            )
        }
        // Without a key: by blocks of the file. A row that moved has moved to a later block.
        None => format!(
            "\nDECLARE\n  airlock_block bigint := 0;\nBEGIN\n  WHILE airlock_block <= pg_relation_size({0}::regclass) / current_setting('block_size')::bigint LOOP\n    \
             UPDATE {t} AS airlock_t SET {set} WHERE ctid >= format('(%s,0)', airlock_block)::tid AND ctid < format('(%s,0)', airlock_block + 32)::tid AND {todo};\n    \
             COMMIT;\n    airlock_block := airlock_block + 32;\n{pause}  END LOOP;\nEND\n",
            literal(&t)
        ),
    };
    format!("DO {}", crate::quote::dollar(&body))
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

/// The steps to NOT NULL that never read the table under a strong lock: statements with their undo, each a step of its own.
pub fn not_null(rel: &Relation, column: &str) -> [(&'static str, String, String); 4] {
    let t = table(rel);
    let name = ident(&generated_name("airlock_", &[&rel.name, column, "not_null"]));
    let c = ident(column);
    let add = format!("ALTER TABLE {t} ADD CONSTRAINT {name} CHECK ({c} IS NOT NULL) NOT VALID");
    [
        ("refuse new NULLs", add.clone(), format!("ALTER TABLE {t} DROP CONSTRAINT {name}")),
        (
            "prove that no NULL is left",
            format!("ALTER TABLE {t} VALIDATE CONSTRAINT {name}"),
            format!("ALTER TABLE {t} DROP CONSTRAINT {name};\n{add}"),
        ),
        (
            "set NOT NULL",
            format!("ALTER TABLE {t} ALTER COLUMN {c} SET NOT NULL"),
            format!("ALTER TABLE {t} ALTER COLUMN {c} DROP NOT NULL"),
        ),
        (
            "drop the helping constraint",
            format!("ALTER TABLE {t} DROP CONSTRAINT {name}"),
            format!("ALTER TABLE {t} ADD CONSTRAINT {name} CHECK ({c} IS NOT NULL)"),
        ),
    ]
}
