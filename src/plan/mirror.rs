//! Two tables of the same columns that hold the same rows, whoever writes where.

use crate::catalog::Catalog;
use crate::quote::{generated_name, ident, idents, qualified};

use super::blocks::definer_function;

/// Rows of one table, as a trigger copies them into another one of the same columns. It copies what stands there now, not what the trigger was
/// given: a trigger of the application may have changed the row once more. What is the same already is not written, which ends the way
/// from the one to the other and back.
pub struct Mirror<'a> {
    pub catalog: &'a Catalog,
    pub schema: &'a str,
    pub name: String,
    pub from: String,
    pub to: String,
    pub keys: &'a [String],
    pub columns: &'a [String],
    /// Those of them that an UPDATE may set.
    pub rest: &'a [String],
    /// The other table may refuse a row: then it has none.
    pub careful: bool,
}

impl Mirror<'_> {
    fn function(&self) -> String {
        qualified(self.schema, &self.name)
    }

    fn emptied(&self) -> String {
        generated_name(&self.name, &["", "all"])
    }

    pub fn create(&self) -> Vec<String> {
        let (f, from, to) = (self.function(), &self.from, &self.to);
        let all = |glue: &str, each: &dyn Fn(&String) -> String, of: &[String]| of.iter().map(each).collect::<Vec<_>>().join(glue);
        let at = |t: &str, row: &str| all(" AND ", &|k| format!("{t}.{0} = {row}.{0}", ident(k)), self.keys);
        let same_key = all(" AND ", &|k| format!("NEW.{0}::text IS NOT DISTINCT FROM OLD.{0}::text", ident(k)), self.keys);
        let row = |t: &str| format!("ROW({})::text", all(", ", &|c| format!("{t}.{}", ident(c)), self.rest));
        let update = match self.rest.is_empty() {
            true => String::new(),
            false => format!(
                "    UPDATE {to} AS airlock_b SET {} FROM {from} AS airlock_a WHERE {} AND {} AND {} IS DISTINCT FROM {};\n",
                all(", ", &|c| format!("{0} = airlock_a.{0}", ident(c)), self.rest),
                at("airlock_a", "NEW"),
                at("airlock_b", "NEW"),
                row("airlock_b"),
                row("airlock_a")
            ),
        };
        let work = format!(
            "  IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND NOT ({same_key})) THEN\n    \
             DELETE FROM {to} AS airlock_b WHERE {} AND NOT EXISTS (SELECT FROM {from} AS airlock_a WHERE {});\n  END IF;\n  \
             IF TG_OP <> 'DELETE' THEN\n{update}    \
             INSERT INTO {to} ({list}) OVERRIDING SYSTEM VALUE SELECT {} FROM {from} AS airlock_a WHERE {}\n      \
             AND NOT EXISTS (SELECT FROM {to} AS airlock_b WHERE {}) ON CONFLICT DO NOTHING;\n  END IF;\n",
            at("airlock_b", "OLD"),
            at("airlock_a", "OLD"),
            all(", ", &|c| format!("airlock_a.{}", ident(c)), self.columns),
            at("airlock_a", "NEW"),
            at("airlock_b", "NEW"),
            list = idents(self.columns),
        );
        // What the other table had stays there: if it went, the way back would take it from this one too.
        let work = match self.careful {
            false => work,
            true => format!("  BEGIN\n{work}  EXCEPTION WHEN integrity_constraint_violation THEN\n    NULL;\n  END;\n"),
        };
        let body = format!("\n#variable_conflict use_column\nBEGIN\n{work}  RETURN NULL;\nEND\n");
        let emptied = format!("\nBEGIN\n  DELETE FROM {to};\n  RETURN NULL;\nEND\n");
        let mut out = definer_function(self.catalog, &f, &body).to_vec();
        out.push(format!(
            "CREATE TRIGGER {} AFTER INSERT OR UPDATE OR DELETE ON {from} FOR EACH ROW EXECUTE FUNCTION {f}()",
            ident(&self.name)
        ));
        let all_f = qualified(self.schema, &self.emptied());
        out.extend(definer_function(self.catalog, &all_f, &emptied));
        out.push(format!(
            "CREATE TRIGGER {} AFTER TRUNCATE ON {from} FOR EACH STATEMENT EXECUTE FUNCTION {all_f}()",
            ident(&self.emptied())
        ));
        out
    }

    pub fn drop(&self) -> Vec<String> {
        [self.emptied(), self.name.clone()]
            .iter()
            .flat_map(|n| [format!("DROP TRIGGER {} ON {}", ident(n), self.from), format!("DROP FUNCTION {}()", qualified(self.schema, n))])
            .collect()
    }
}
