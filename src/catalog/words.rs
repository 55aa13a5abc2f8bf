//! One constraint, one type, in SQL.

use super::{Catalog, ColumnType, ConKind, Constraint};

impl Catalog {
    /// The constraint as it stands behind ADD CONSTRAINT name.
    pub(super) fn constraint_sql(&self, c: &Constraint) -> String {
        use crate::quote::{idents, qualified};
        let mut out = match &c.kind {
            ConKind::Check { expr, .. } => format!("CHECK ({})", expr.text),
            ConKind::NotNull { column } => format!("NOT NULL {}", crate::quote::ident(column)),
            ConKind::Unique { columns, nulls_not_distinct, .. } => {
                let nulls = if *nulls_not_distinct { "NULLS NOT DISTINCT " } else { "" };
                format!("UNIQUE {nulls}({})", idents(columns))
            }
            ConKind::PrimaryKey { columns, .. } => format!("PRIMARY KEY ({})", idents(columns)),
            ConKind::ForeignKey { columns, table, ref_columns, on_delete, on_update, match_full } => {
                let to = self.relation(*table).map(|t| qualified(&t.schema, &t.name)).unwrap_or_default();
                let mut s = format!("FOREIGN KEY ({}) REFERENCES {to}", idents(columns));
                if !ref_columns.is_empty() {
                    s.push_str(&format!(" ({})", idents(ref_columns)));
                }
                if *match_full {
                    s.push_str(" MATCH FULL");
                }
                for (event, action) in [("UPDATE", on_update), ("DELETE", on_delete)] {
                    if *action != crate::op::FkAction::NoAction {
                        s.push_str(&format!(" ON {event} {action}"));
                    }
                }
                s
            }
            ConKind::Exclude { index, .. } => {
                let definition = self.relation(*index).and_then(|r| r.index.as_ref());
                let method = definition.map_or("gist", |i| i.method.as_str());
                let keys: Vec<String> =
                    definition.map(|i| i.elements.iter().map(|e| format!("{} WITH =", e.expr.text)).collect()).unwrap_or_default();
                format!("EXCLUDE USING {} ({})", crate::quote::ident(method), keys.join(", "))
            }
        };
        let include = c.kind.index().and_then(|i| self.relation(i)).and_then(|r| r.index.as_ref()).map(|i| &i.include);
        if let Some(include) = include.filter(|i| !i.is_empty()) {
            out.push_str(&format!(" INCLUDE ({})", idents(include)));
        }
        if c.deferrable {
            out.push_str(" DEFERRABLE");
        }
        if c.initially_deferred {
            out.push_str(" INITIALLY DEFERRED");
        }
        if c.no_inherit {
            out.push_str(" NO INHERIT");
        }
        if !c.enforced {
            out.push_str(" NOT ENFORCED");
        } else if !c.validated {
            out.push_str(" NOT VALID");
        }
        out
    }
}

/// A type in SQL: built-in names as they are, own ones quoted.
pub(super) fn type_sql(ty: &ColumnType) -> String {
    if ty.id.is_none() {
        return ty.to_string();
    }
    let quoted = match ty.name.split_once('.') {
        Some((s, n)) => crate::quote::qualified(s, n),
        None => crate::quote::ident(&ty.name),
    };
    let mods = if ty.modifiers.is_empty() { String::new() } else { format!("({})", ty.modifiers.join(",")) };
    format!("{quoted}{mods}{}", if ty.is_array() { "[]" } else { "" })
}
