//! Row triggers of the user: what a simple PL/pgSQL body does to the row, and whether it raises.
//!
//! Straight-line bodies of IF, assignments, RAISE and RETURN are followed. Anything else makes the row unknown; it is
//! never taken for an error. Static SQL in the body is judged like a query of its own.

use std::sync::Arc;

use crate::catalog::{Function, Relation, Trigger};
use crate::op::TriggerMode;

use super::eval::{Datum, Env, eval};
use super::expr::Binder;
use super::names::Session;
use super::outcome::Fail;
use super::plpgsql::{self, Target};
use super::scope::{Item, Scope};
use super::statement;
use super::write::{Row, RowEnv};

pub enum After {
    Row(Row),
    /// A trigger returned NULL.
    Skipped,
    Raised(Fail),
}

/// Runs BEFORE ROW triggers in the order of their names. For an UPDATE, `old` is the row there and the columns that are set.
pub fn before_row(b: &mut Binder<'_, '_>, rel: &Arc<Relation>, event: &str, row: &[Datum], old: Option<(&[Datum], &[&str])>) -> After {
    let mut row = row.to_vec();
    for t in fired(rel, "BEFORE", event, old.map(|(_, set)| set)) {
        if !t.for_each_row {
            continue;
        }
        if let Some(when) = &t.when {
            let env = TriggerEnv { rel, row: &row, old: old.map(|(o, _)| o), event, samples: b.s.samples };
            match eval(when, &env).truth() {
                Some(Some(true)) => {}
                Some(_) => continue,
                None => {
                    row.iter_mut().for_each(blur);
                    continue;
                }
            }
        }
        let Some(f) = function(b.s, t) else {
            row.iter_mut().for_each(blur);
            continue;
        };
        if let Some(fail) = static_sql(b, rel, f) {
            return After::Raised(fail);
        }
        match interpret(b, rel, f, event, &row, old.map(|(o, _)| o)) {
            Effect::Row(r) => row = r,
            Effect::Skip => return After::Skipped,
            Effect::Raise(f) => return After::Raised(f),
        }
    }
    After::Row(row)
}

/// AFTER ROW triggers and statement triggers: only what fails in any case.
pub fn after_row(b: &mut Binder<'_, '_>, rel: &Arc<Relation>, event: &str) -> Option<Fail> {
    let row: Row = rel.columns.iter().map(|_| Datum::ANY).collect();
    for t in fired(rel, "AFTER", event, None) {
        if t.when.is_some() || !t.update_of.is_empty() {
            continue;
        }
        let Some(f) = function(b.s, t) else { continue };
        if let Some(fail) = static_sql(b, rel, f) {
            return Some(fail);
        }
        if let Effect::Raise(fail) = interpret(b, rel, f, event, &row, None) {
            return Some(fail);
        }
    }
    None
}

fn fired<'r>(rel: &'r Relation, timing: &str, event: &str, set: Option<&[&str]>) -> Vec<&'r Trigger> {
    let mut out: Vec<&Trigger> = rel
        .triggers
        .iter()
        .filter(|t| matches!(t.mode, TriggerMode::Enable | TriggerMode::EnableAlways))
        .filter(|t| t.timing.eq_ignore_ascii_case(timing) && t.events.iter().any(|e| e.eq_ignore_ascii_case(event)))
        .filter(|t| t.update_of.is_empty() || event != "UPDATE" || set.is_none_or(|s| t.update_of.iter().any(|c| s.contains(&c.as_str()))))
        .collect();
    out.sort_by(|a, b| a.name.cmp(&b.name));
    out
}

fn function<'a>(s: &Session<'a>, t: &Trigger) -> Option<&'a Arc<Function>> {
    match t.function_id {
        Some(id) => s.cat.functions.get(&id),
        None => {
            let name = t.function.rsplit('.').next().unwrap_or(&t.function);
            s.cat.functions.values().find(|f| f.name == name)
        }
    }
}

/// INSERT, UPDATE, … inside the body that cannot work any more.
fn static_sql(b: &mut Binder<'_, '_>, rel: &Relation, f: &Arc<Function>) -> Option<Fail> {
    if b.entered.contains(&f.id) || b.entered.len() > 8 {
        return None;
    }
    let path: Vec<String> = match f.def.settings.iter().find(|(k, _)| k == "search_path") {
        Some((_, v)) => v.split(',').map(|p| p.trim().trim_matches(['\'', '"']).to_string()).collect(),
        None => b.s.path.to_vec(),
    };
    let owner = f.owner.clone();
    let role = if f.def.security_definer { owner.as_deref() } else { b.s.role };
    let inner = Session { path: &path, role, ..*b.s };
    let mut scope = Scope::default();
    for alias in ["new", "old"] {
        let mut item = Item::of_relation(rel, None, &[]);
        item.alias = alias.into();
        item.schema = None;
        item.qualified_only = true;
        item.needs_select = false;
        scope.push(item);
    }
    // Variables may have any name.
    scope.open = true;
    b.entered.push(f.id);
    let mut fail = None;
    for op in f.def.body_ops.iter().filter(|o| !o.conditional) {
        let out = statement::run_in(&inner, op, &scope, b.entered.clone());
        if let Some((_, found)) = out.fail {
            fail = Some(found);
            break;
        }
    }
    b.entered.pop();
    fail
}

enum Effect {
    Row(Row),
    Skip,
    Raise(Fail),
}

struct TriggerEnv<'a> {
    rel: &'a Relation,
    row: &'a [Datum],
    old: Option<&'a [Datum]>,
    event: &'a str,
    samples: &'a std::collections::BTreeMap<String, crate::catalog::ColumnType>,
}

impl Env for TriggerEnv<'_> {
    fn column(&self, parts: &[crate::op::Name]) -> Datum {
        match parts {
            [t, _] if t.value == "new" => RowEnv { rel: self.rel, row: self.row, other: None, samples: self.samples }.column(parts),
            [t, _] if t.value == "old" => match self.old {
                Some(o) => RowEnv { rel: self.rel, row: o, other: None, samples: self.samples }.column(parts),
                None => Datum::ANY,
            },
            [t] if t.value == "tg_op" => Datum::Value(self.event.to_string()),
            [t] if t.value == "tg_table_name" => Datum::Value(self.rel.name.clone()),
            _ => Datum::ANY,
        }
    }
    fn param(&self, _: &str) -> Datum {
        Datum::ANY
    }
}

fn blur(d: &mut Datum) {
    // A value that the application sends stays one: the trigger most often passes it on.
    if !matches!(d, Datum::Unknown { sent_as: Some(_), .. }) {
        *d = Datum::ANY;
    }
}

fn interpret(b: &Binder<'_, '_>, rel: &Relation, f: &Function, event: &str, row: &[Datum], old: Option<&[Datum]>) -> Effect {
    let mut now = row.to_vec();
    let body = f.def.language.eq_ignore_ascii_case("plpgsql").then(|| plpgsql::parse(&f.def.body)).flatten();
    let Some(body) = body else {
        now.iter_mut().for_each(blur);
        return Effect::Row(now);
    };
    match run(b, rel, event, &body, &mut now, old) {
        Flow::Raise(state) => Effect::Raise(Fail { state, because: Some(f.name.clone()) }),
        Flow::Return(Some(true)) => Effect::Skip,
        Flow::Unsure => {
            now.iter_mut().for_each(blur);
            Effect::Row(now)
        }
        Flow::Next | Flow::Return(_) => Effect::Row(now),
    }
}

enum Flow {
    Next,
    /// `Some(true)`: RETURN NULL.
    Return(Option<bool>),
    Raise(&'static str),
    Unsure,
}

fn run(b: &Binder<'_, '_>, rel: &Relation, event: &str, body: &[plpgsql::Step], row: &mut Row, old: Option<&[Datum]>) -> Flow {
    for step in body {
        match step {
            plpgsql::Step::Assign(Target::New(column), e) => {
                let env = TriggerEnv { rel, row, old, event, samples: b.s.samples };
                let value = eval(e, &env);
                if let Some(i) = rel.columns.iter().position(|c| c.name == *column) {
                    row[i] = value;
                } else if !rel.assumed {
                    // record "new" has no field of that name
                    return Flow::Raise("42703");
                }
            }
            plpgsql::Step::Assign(Target::Other, _) => {}
            plpgsql::Step::Return { null } => return Flow::Return(Some(*null)),
            plpgsql::Step::Raise(state) => return Flow::Raise(state),
            plpgsql::Step::If { branches, otherwise } => {
                let mut taken = None;
                for (condition, then) in branches {
                    let env = TriggerEnv { rel, row, old, event, samples: b.s.samples };
                    match eval(condition, &env).truth() {
                        Some(Some(true)) => {
                            taken = Some(then);
                            break;
                        }
                        Some(_) => {}
                        None => return Flow::Unsure,
                    }
                }
                match run(b, rel, event, taken.unwrap_or(otherwise), row, old) {
                    Flow::Next => {}
                    ended => return ended,
                }
            }
            plpgsql::Step::Nothing => {}
            plpgsql::Step::Unknown => return Flow::Unsure,
        }
    }
    Flow::Next
}
