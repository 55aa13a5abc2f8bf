//! Rows of two tables that say the same for a while: triggers on both, and copies of whole rows.

use crate::catalog::{ConKind, Relation};
use crate::op::Op;
use crate::quote::{generated_name, ident, idents, qualified};

use super::blocks::{NOTHING, Value, definer_function, key, paged, table};
use super::change::ColumnChange;
use super::draft::{Draft, NewStep, slug};
use super::rows::{Cross, Move};
use super::table::TableDraft;
use super::{Ctx, PhaseKind, PlanOptions, Stop};
use crate::compat::Undo;

/// Triggers between two tables.
#[derive(Debug, Default)]
pub struct Crossing {
    pub id: String,
    pub title: String,
    pub create: Vec<String>,
    pub drop: Vec<String>,
    /// Copies the rows that are there.
    pub copy: Option<(String, String)>,
}

impl Crossing {
    /// Its steps of one phase: before those of the tables when it goes, behind them when it comes.
    pub fn emit(&self, draft: &mut Draft, phase: PhaseKind, bound: &str) {
        let bounded = |s: &[String]| std::iter::once(bound.to_string()).chain(s.iter().cloned()).collect::<Vec<_>>();
        match phase {
            PhaseKind::Expand => {
                draft.step(
                    phase,
                    NewStep {
                        id: slug(&["follow", &self.id]),
                        title: self.title.clone(),
                        statements: bounded(&self.create),
                        undo: bounded(&self.drop),
                    },
                );
            }
            PhaseKind::Migrate => {
                if let Some((title, copy)) = &self.copy {
                    let step = draft.step(
                        phase,
                        NewStep {
                            id: slug(&["copy", &self.id]),
                            title: title.clone(),
                            statements: vec![copy.clone()],
                            // The rows may stay: the table that holds them is new.
                            undo: vec![NOTHING.into()],
                        },
                    );
                    step.transaction = false;
                }
            }
            PhaseKind::ContractSoft => {
                let step = draft.step(
                    phase,
                    NewStep {
                        id: slug(&["unfollow", &self.id]),
                        title: format!("Release N-1 is gone, and so go the triggers by which {}", self.title),
                        statements: bounded(&self.drop),
                        undo: bounded(&self.create),
                    },
                );
                step.undo_verdict = Undo::LosesData;
            }
            PhaseKind::ContractHard => {}
        }
    }

    fn trigger(&mut self, x: &Ctx<'_>, on: &Relation, on_sql: &str, suffix: &str, events: &str, body: &str) {
        let name = generated_name("zzzz_airlock_", &[&on.name, suffix]);
        let f = qualified(&on.schema, &name);
        let body = format!("\n#variable_conflict use_column\nBEGIN\n{body}  RETURN NULL;\nEND\n");
        self.create.extend(definer_function(&x.script.before, &f, &body));
        self.create.push(format!("CREATE TRIGGER {} AFTER {events} ON {on_sql} FOR EACH ROW EXECUTE FUNCTION {f}()", ident(&name)));
        let drop = [format!("DROP TRIGGER {} ON {on_sql}", ident(&name)), format!("DROP FUNCTION {f}()")];
        self.drop.splice(0..0, drop);
    }
}

fn unchanged(columns: &[String]) -> String {
    let each = columns.iter().map(|c| format!("NEW.{0}::text IS NOT DISTINCT FROM OLD.{0}::text", ident(c)));
    each.collect::<Vec<_>>().join(" AND ")
}

fn goes(x: &Ctx<'_>, rel: &Relation, column: &str) -> bool {
    let attnum = rel.column(column).map(|c| c.attnum);
    x.script.after.relation(rel.id).is_none_or(|r| !r.columns.iter().any(|c| Some(c.attnum) == attnum))
}

/// A new column whose value stands in rows of another table, as long as N-1 writes those.
pub fn fill(x: &Ctx<'_>, change: &ColumnChange, cross: &Cross, value: &Value, t: &TableDraft<'_>, draft: &mut Draft) -> Result<(), Stop> {
    let (Some(new), Some(source)) = (&change.after, x.script.before.relation(cross.source)) else {
        return x.refuse(change.span, "the table that the values come from is new too", "plan this change by hand");
    };
    // What both releases write has its value at the moment of the migration, as the file says.
    let lost: Vec<&String> = cross.reads.iter().filter(|c| goes(x, source, c)).collect();
    if lost.is_empty() {
        return Ok(());
    }
    let rel = t.rel.clone();
    let (mine, theirs, c) = (table(&rel), table(source), ident(&new.name));
    let mut out = Crossing {
        id: format!("{}-{}", source.name, new.name),
        title: format!("`{}.{}` follows `{}`, as long as N-1 writes there", rel.name, new.name, source.name),
        ..Crossing::default()
    };
    let at = |row: &str| {
        let each = cross.links.iter().map(|(own, other)| format!("airlock_t.{} = {row}.{}", ident(own), ident(other)));
        each.collect::<Vec<_>>().join(" AND ")
    };
    let same = format!("  IF TG_OP = 'UPDATE' AND {} THEN\n    RETURN NULL;\n  END IF;\n", unchanged(&cross.reads));
    match &cross.column {
        // A value that release N has changed meanwhile stays.
        Some(column) => {
            let v = ident(column);
            // Where the value is a key of the other row, or one that only one row may have, it goes with it.
            let bound = bound(x, &rel, new, source.id);
            let gone = match bound {
                false => String::new(),
                true => format!(
                    "  IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND NOT ({})) THEN\n    \
                     UPDATE {mine} AS airlock_t SET {c} = {value} WHERE {} AND airlock_t.{c}::text = OLD.{v}::text AND airlock_t.{c}::text IS DISTINCT FROM ({value})::text;\n  \
                     END IF;\n  IF TG_OP = 'DELETE' THEN\n    RETURN NULL;\n  END IF;\n",
                    unchanged(&cross.links.iter().map(|(_, other)| other.clone()).collect::<Vec<_>>()),
                    at("OLD"),
                    value = value.of("airlock_t"),
                ),
            };
            let body = format!(
                "{same}{gone}  UPDATE {mine} AS airlock_t SET {c} = NEW.{v} WHERE {} AND airlock_t.{c}::text IS DISTINCT FROM NEW.{v}::text\n    \
                 AND (airlock_t.{c} IS NULL OR airlock_t.{c}::text = OLD.{v}::text);\n",
                at("NEW")
            );
            out.trigger(x, source, &theirs, "follow", if bound { "INSERT OR UPDATE OR DELETE" } else { "INSERT OR UPDATE" }, &body);
        }
        None => {
            let v = value.of("airlock_t");
            let body = format!(
                "{same}  UPDATE {mine} AS airlock_t SET {c} = {v} WHERE (({}) OR ({})) AND airlock_t.{c}::text IS DISTINCT FROM ({v})::text;\n",
                at("NEW"),
                at("OLD")
            );
            out.trigger(x, source, &theirs, "follow", "INSERT OR UPDATE OR DELETE", &body);
        }
    }
    if !back(x, cross, new, source, &rel, &mut out) {
        draft.checklist.push(format!(
            "What release N writes into `{}.{}` does not go back into `{}`: after a rollback, N-1 misses it there.",
            rel.name, new.name, source.name
        ));
    }
    draft.crossings.push(out);
    Ok(())
}

/// The new column refers to the table that its values come from, or is unique.
fn bound(x: &Ctx<'_>, rel: &Relation, new: &crate::catalog::Column, source: crate::catalog::Id) -> bool {
    let refers = x.script.after.relation(rel.id).is_some_and(|r| {
        r.constraints
            .iter()
            .any(|c| matches!(&c.kind, ConKind::ForeignKey { table, .. } if *table == source) && c.kind.columns().contains(&new.name))
    });
    refers
        || x.script.after.indexes_of(rel.id).into_iter().filter_map(|i| i.index.as_ref()).any(|i| i.unique && i.depends.contains(&new.name))
}

/// What N writes, for N-1: the columns that go are set in the row that the others find. `false`: no row can be found.
fn back(x: &Ctx<'_>, cross: &Cross, new: &crate::catalog::Column, source: &Relation, rel: &Relation, out: &mut Crossing) -> bool {
    let Some(column) = &cross.column else { return false };
    let same_type = |own: &str, other: &str| {
        let ty = if own == new.name { Some(&new.ty) } else { rel.column(own).map(|c| &c.ty) };
        ty == source.column(other).map(|c| &c.ty)
    };
    let mut pairs: Vec<(&str, &str)> = cross.links.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    pairs.push((&new.name, column));
    if x.script.after.relation(source.id).is_none() || !pairs.iter().all(|(a, b)| same_type(a, b)) {
        return false;
    }
    let (set, find): (Vec<_>, Vec<_>) = pairs.iter().partition::<Vec<(&str, &str)>, _>(|(_, other)| goes(x, source, other));
    if find.is_empty() || set.is_empty() {
        return false;
    }
    let theirs = table(source);
    let own: Vec<String> = pairs.iter().map(|(a, _)| (*a).to_string()).collect();
    let found = find.iter().map(|(a, b)| format!("airlock_s.{} = NEW.{}", ident(b), ident(a))).collect::<Vec<_>>().join(" AND ");
    let assign = set.iter().map(|(a, b)| format!("{} = NEW.{}", ident(b), ident(a))).collect::<Vec<_>>().join(", ");
    let empty = set.iter().map(|(_, b)| format!("airlock_s.{} IS NULL", ident(b))).collect::<Vec<_>>().join(" AND ");
    let mut body =
        format!("  IF NEW.{} IS NULL OR (TG_OP = 'UPDATE' AND {}) THEN\n    RETURN NULL;\n  END IF;\n", ident(&new.name), unchanged(&own));
    // A value that only one row may have is taken from the row that had it.
    for (a, b) in &set {
        let unique = x
            .script
            .before
            .indexes_of(source.id)
            .into_iter()
            .filter_map(|i| i.index.as_ref())
            .any(|i| i.unique && i.filter.is_none() && matches!(i.columns.as_slice(), [Some(only)] if only == b));
        if unique {
            body.push_str(&format!(
                "  UPDATE {theirs} AS airlock_s SET {0} = NULL WHERE airlock_s.{0} = NEW.{1} AND NOT ({found});\n",
                ident(b),
                ident(a)
            ));
        }
    }
    body.push_str(&format!("  UPDATE {theirs} AS airlock_s SET {assign} WHERE {found} AND {empty};\n"));
    out.trigger(x, rel, &table(rel), &format!("{}_back", new.name), "INSERT OR UPDATE", &body);
    true
}

/// INSERT … SELECT into a new table, of rows that N-1 goes on to write: kept in step both ways, then copied in pages.
pub fn rows(x: &Ctx<'_>, op: &Op, m: &Move, options: &PlanOptions, draft: &mut Draft) -> Result<(), Stop> {
    let (Some(source), Some(target)) = (x.script.before.relation(m.source), x.script.after.relation(m.target)) else {
        return x.refuse(
            op.span,
            "the rows come from a table that is new too, or go to one that does not stay",
            "plan this change by hand",
        );
    };
    let (theirs, new) = (table(source), table(target));
    let mut out = Crossing {
        id: format!("{}-{}", source.name, target.name),
        title: format!("`{}` and `{}` follow each other", source.name, target.name),
        ..Crossing::default()
    };
    let alias = ident(m.alias.as_deref().unwrap_or(&source.name));
    let row = |r: &str| {
        let columns: Vec<String> = source.columns.iter().map(|c| format!("{r}.{0} AS {0}", ident(&c.name))).collect();
        format!("(SELECT {}) AS {alias}", columns.join(", "))
    };
    let filter = m.filter.as_deref().unwrap_or("true");
    let keys = idents(m.key.iter().map(|(k, _)| k));
    let rest: Vec<&String> = m.columns.iter().filter(|c| !m.key.iter().any(|(k, _)| k == *c)).collect();
    let conflict = match rest.is_empty() {
        true => "DO NOTHING".to_string(),
        false => format!(
            "DO UPDATE SET {} WHERE {}",
            rest.iter().map(|c| format!("{0} = excluded.{0}", ident(c))).collect::<Vec<_>>().join(", "),
            rest.iter()
                .map(|c| format!("airlock_n.{0}::text IS DISTINCT FROM excluded.{0}::text", ident(c)))
                .collect::<Vec<_>>()
                .join(" OR ")
        ),
    };
    let of = |r: &str| m.key.iter().map(|(k, s)| format!("airlock_n.{} = {r}.{}", ident(k), ident(s))).collect::<Vec<_>>().join(" AND ");
    let body = format!(
        "  IF TG_OP = 'DELETE' THEN\n    DELETE FROM {new} AS airlock_n WHERE {};\n    RETURN NULL;\n  END IF;\n  \
         IF TG_OP = 'UPDATE' AND {} THEN\n    RETURN NULL;\n  END IF;\n  \
         IF TG_OP = 'UPDATE' AND NOT ({}) THEN\n    DELETE FROM {new} AS airlock_n WHERE {};\n  END IF;\n  \
         DELETE FROM {new} AS airlock_n WHERE {} AND NOT EXISTS (SELECT FROM {} WHERE {filter});\n  \
         INSERT INTO {new} AS airlock_n ({}) SELECT {} FROM {} WHERE {filter} ON CONFLICT ({keys}) {conflict};\n",
        of("OLD"),
        unchanged(&m.reads),
        unchanged(&m.key.iter().map(|(_, s)| s.clone()).collect::<Vec<_>>()),
        of("OLD"),
        of("NEW"),
        row("NEW"),
        idents(&m.columns),
        m.values.join(", "),
        row("NEW")
    );
    out.trigger(x, source, &theirs, &format!("to_{}", target.name), "INSERT OR UPDATE OR DELETE", &body);
    // Back, into columns that only N-1 has.
    let backs: Vec<&(String, String)> = m.backs.iter().filter(|(s, _)| goes(x, source, s)).collect();
    if !backs.is_empty() {
        let at =
            |r: &str| m.key.iter().map(|(k, s)| format!("airlock_s.{} = {r}.{}", ident(s), ident(k))).collect::<Vec<_>>().join(" AND ");
        // What the old columns say already, in the new table's words, is left alone.
        let differs = |c: &String| {
            let value = m.columns.iter().position(|x| x == c).map_or("NULL", |i| m.values[i].as_str());
            format!("(SELECT ({value})::text FROM {}) IS DISTINCT FROM NEW.{}::text", row("airlock_s"), ident(c))
        };
        let nullable: Vec<&&(String, String)> = backs.iter().filter(|(s, _)| source.column(s).is_some_and(|c| !c.not_null)).collect();
        let clear = match nullable.is_empty() {
            true => String::new(),
            false => format!(
                "    UPDATE {theirs} AS airlock_s SET {} WHERE {} AND ({});\n",
                nullable.iter().map(|(s, _)| format!("{} = NULL", ident(s))).collect::<Vec<_>>().join(", "),
                at("OLD"),
                nullable.iter().map(|(s, _)| format!("airlock_s.{} IS NOT NULL", ident(s))).collect::<Vec<_>>().join(" OR ")
            ),
        };
        let body = format!(
            "  IF TG_OP = 'DELETE' THEN\n{clear}    RETURN NULL;\n  END IF;\n  UPDATE {theirs} AS airlock_s SET {} WHERE {} AND ({});\n",
            backs
                .iter()
                .map(|(s, c)| format!("{0} = CASE WHEN {1} THEN NEW.{2} ELSE airlock_s.{0} END", ident(s), differs(c), ident(c)))
                .collect::<Vec<_>>()
                .join(", "),
            at("NEW"),
            backs.iter().map(|(_, c)| differs(c)).collect::<Vec<_>>().join(" OR ")
        );
        out.trigger(x, target, &new, &format!("to_{}", source.name), "INSERT OR UPDATE OR DELETE", &body);
    }
    for lost in
        source.columns.iter().filter(|c| m.reads.contains(&c.name) && goes(x, source, &c.name) && !backs.iter().any(|(s, _)| *s == c.name))
    {
        draft.checklist.push(format!(
            "What release N writes into `{}` does not go back into `{}.{}`: after a rollback, N-1 misses it there.",
            target.name, source.name, lost.name
        ));
    }
    // A row that goes or changes meanwhile waits for its copy: none comes back.
    let copy = paged(&x.script.before, source, &alias, options, &|page| {
        format!(
            "INSERT INTO {new} ({}) SELECT {} FROM {theirs} AS {alias} WHERE {page} AND ({filter}) FOR SHARE OF {alias} ON CONFLICT ({keys}) DO NOTHING",
            idents(&m.columns),
            m.values.join(", ")
        )
    });
    out.copy = Some((format!("Copy the rows of `{}` into `{}`, in batches of {}", source.name, target.name, options.batch_size), copy));
    draft.fills = true;
    draft.crossings.push(out);
    Ok(())
}

/// The columns of the new table that identify a row, with those of the source that they come from.
pub fn row_key(
    x: &crate::replay::ReplayedScript,
    source: &Relation,
    target: &Relation,
    from: &[(String, Option<String>)],
) -> Option<Vec<(String, String)>> {
    let of = |c: &String| from.iter().find(|(t, _)| t == c).and_then(|(_, s)| s.clone()).map(|s| (c.clone(), s));
    let unique = key(&x.before, source)?;
    target
        .constraints
        .iter()
        .filter(|c| matches!(c.kind, ConKind::PrimaryKey { .. } | ConKind::Unique { .. }))
        .filter_map(|c| c.kind.columns().iter().map(of).collect::<Option<Vec<_>>>())
        .find(|pairs| unique.iter().all(|u| pairs.iter().any(|(_, s)| s == u)))
}
