//! Calls of the user's own functions: which candidate is meant, what it returns, and whether its body still works.

use std::sync::Arc;

use crate::catalog::{ColumnType, Function, Id, Relation};
use crate::op::{ObjectKind, Op, OpKind, QName, TypeName};

use super::expr::Binder;
use super::names::Session;
use super::outcome::{Bound, Fail, OutColumn, Phase};
use super::permissions;
use super::scope::{Item, Scope, ScopeColumn, known};
use super::types::{self, Category, Reach, Typed};
use super::{builtins, statement};

/// A call, resolved.
pub struct Resolved {
    /// As a value in an expression.
    pub scalar: Typed,
    /// As an item of FROM: its columns; `None` where they cannot be told.
    pub columns: Option<Vec<ScopeColumn>>,
    /// The table whose row type it returns.
    pub row_type: Option<Id>,
}

/// Resolves a call among the user's functions. `Ok(None)`: none of that name, so it may be a built-in one.
pub fn resolve(b: &mut Binder<'_, '_>, name: &QName, args: &[Typed], procedure: bool) -> Bound<Option<Resolved>> {
    let candidates = b.s.functions(name);
    if candidates.is_empty() {
        let gone = b.s.own_function(name.as_str()) && !builtins::is_known(name.as_str()) && b.s.cat.complete;
        if let Some(schema) = name.schema_str().filter(|s| b.s.no_such_schema(s)) {
            return Err(Fail::new("3F000", schema));
        }
        return if gone { Err(Fail::new("42883", name.to_string())) } else { Ok(None) };
    }
    let Some(f) = choose(b.s, &candidates, args)? else {
        if builtins::is_known(name.as_str()) || b.s.has_extensions() {
            return Ok(None);
        }
        return Err(Fail::new("42883", name.to_string()));
    };
    if procedure != (f.kind == ObjectKind::Procedure) && matches!(f.kind, ObjectKind::Procedure | ObjectKind::Function) {
        return Err(Fail::new("42809", name.to_string()));
    }
    let f = f.clone();
    b.functions.push(f.id);
    if !permissions::may_execute(b.s, &f) {
        b.run.push(Fail::new("42501", f.name.clone()));
    }
    let returns = returned(b.s, &f);
    check_body(b, &f, &returns);
    let scalar = match &returns {
        Returns::Scalar(t) => Typed::maybe(t.clone()),
        _ => Typed::Opaque,
    };
    let (columns, row_type) = match returns {
        Returns::Row(rel) => (Some(row_columns(&rel)), Some(rel.id)),
        Returns::Table(columns) => {
            (Some(columns.into_iter().map(|(name, ty)| ScopeColumn { name, ty, collation: None, source: None, item: 0 }).collect()), None)
        }
        Returns::Scalar(ty) => (Some(vec![ScopeColumn { name: f.name.clone(), ty, collation: None, source: None, item: 0 }]), None),
        Returns::Nothing | Returns::Untold => (None, None),
    };
    Ok(Some(Resolved { scalar, columns, row_type }))
}

fn row_columns(rel: &Relation) -> Vec<ScopeColumn> {
    rel.columns
        .iter()
        .map(|c| ScopeColumn {
            name: c.name.clone(),
            ty: known(&c.ty),
            collation: c.collation.clone(),
            source: Some((rel.id, c.name.clone())),
            item: 0,
        })
        .collect()
}

/// Postgres's `func_get_detail`: an exact match wins; else what can be coerced, fewest conversions, preferred types.
/// More than one left is 42725; `Ok(None)`: none fits.
fn choose<'f>(s: &Session<'_>, candidates: &[&'f Arc<Function>], args: &[Typed]) -> Bound<Option<&'f Arc<Function>>> {
    struct Candidate<'f> {
        f: &'f Arc<Function>,
        types: Vec<Option<ColumnType>>,
        defaulted: bool,
        clash: bool,
    }
    let mut fit: Vec<Candidate<'f>> = Vec::new();
    for f in candidates {
        let types = argument_types(s, f);
        let variadic = f.def.args.iter().any(|a| a.mode == "VARIADIC");
        let n = args.len();
        if n + f.defaults < types.len() || (n > types.len() && !variadic) {
            continue;
        }
        let mut types = types;
        if variadic && n >= types.len() {
            // The last argument takes the rest, one element each.
            let last = types.pop().flatten();
            let each = last.map(|t| types::element(&t));
            while types.len() < n {
                types.push(each.clone());
            }
        }
        let defaulted = types.len() > n;
        types.truncate(n);
        // The same arguments as another candidate: the one without defaults is meant; two with defaults cannot be told apart.
        let alike = |c: &Candidate<'_>| c.types.iter().zip(&types).all(|(a, b)| matches!((a, b), (Some(a), Some(b)) if types::same(a, b)));
        match fit.iter_mut().find(|c| alike(c)) {
            Some(c) if c.defaulted && defaulted => c.clash = true,
            Some(c) if c.defaulted => *c = Candidate { f, types, defaulted, clash: false },
            Some(_) => {}
            None => fit.push(Candidate { f, types, defaulted, clash: false }),
        }
    }
    let exact = |c: &Candidate<'_>, i: usize| matches!((&c.types[i], &args[i]), (Some(t), Typed::Is(a)) if types::same(t, &types::base(s.cat, a)) || types::same(t, a));
    let coercible = |c: &Candidate<'_>, i: usize| match (&c.types[i], &args[i]) {
        (Some(t), Typed::Is(a)) => pseudo(t) || types::cast(s.cat, a, t) == Some(Reach::Implicit),
        _ => true,
    };
    let all = 0..args.len();
    fit.retain(|c| all.clone().all(|i| coercible(c, i)));
    let keep_best = |fit: &mut Vec<Candidate<'f>>, score: &dyn Fn(&Candidate<'f>) -> usize| {
        let best = fit.iter().map(score).max().unwrap_or(0);
        fit.retain(|c| score(c) == best);
    };
    if fit.len() > 1 {
        keep_best(&mut fit, &|c| all.clone().filter(|&i| exact(c, i)).count());
    }
    if fit.len() > 1 {
        keep_best(&mut fit, &|c| {
            all.clone().filter(|&i| exact(c, i) || (args[i].ty().is_some() && c.types[i].as_ref().is_some_and(preferred))).count()
        });
    }
    if fit.len() > 1 {
        // Untyped literals: a string type is taken where some candidate has one.
        for i in all.clone().filter(|&i| args[i].ty().is_none()) {
            let string = |c: &Candidate<'_>| c.types[i].as_ref().is_some_and(|t| types::category(s.cat, t) == Category::String);
            if fit.iter().any(string) {
                fit.retain(string);
            }
        }
        if fit.len() > 1 {
            keep_best(&mut fit, &|c| all.clone().filter(|&i| c.types[i].as_ref().is_some_and(preferred)).count());
        }
    }
    match fit.as_slice() {
        [] => Ok(None),
        [one] if !one.clash => Ok(Some(one.f)),
        [first, ..] => Err(Fail::new("42725", first.f.name.clone())),
    }
}

fn preferred(t: &ColumnType) -> bool {
    matches!(
        t.name.as_str(),
        "double precision" | "oid" | "text" | "boolean" | "timestamp with time zone" | "interval" | "inet" | "bit varying"
    ) && t.array_dims == 0
}

fn pseudo(t: &ColumnType) -> bool {
    t.name.starts_with("any") || t.name == "record"
}

/// Types of the input arguments, as far as they can be told.
fn argument_types(s: &Session<'_>, f: &Function) -> Vec<Option<ColumnType>> {
    let written: Vec<&TypeName> = f.def.args.iter().filter(|a| a.mode != "OUT").map(|a| &a.ty).collect();
    if written.len() != f.arg_types.len() {
        return f.arg_types.iter().map(|_| None).collect();
    }
    written.iter().map(|t| resolve_type(s, f, t)).collect()
}

/// A type that a function's definition names means what it meant when the function was made.
fn resolve_type(s: &Session<'_>, f: &Function, ty: &TypeName) -> Option<ColumnType> {
    let at_definition = defining(s, f);
    at_definition.type_named(ty).ok().flatten().map(|t| ColumnType { modifiers: Vec::new(), ..t })
}

/// The session in which names of a function's signature are looked up: the schema before the change, if it existed there.
fn defining<'a>(s: &Session<'a>, f: &Function) -> Session<'a> {
    let cat = match s.before {
        Some(b) if b.functions.contains_key(&f.id) => b,
        _ => s.cat,
    };
    Session { cat, role: None, ..*s }
}

enum Returns {
    Nothing,
    Scalar(Option<ColumnType>),
    Row(Arc<Relation>),
    Table(Vec<(String, Option<ColumnType>)>),
    Untold,
}

fn returned(s: &Session<'_>, f: &Function) -> Returns {
    if !f.def.returns_table.is_empty() {
        return Returns::Table(f.def.returns_table.iter().map(|(n, t)| (n.value.clone(), resolve_type(s, f, t))).collect());
    }
    let outs: Vec<_> = f.def.args.iter().filter(|a| matches!(a.mode.as_str(), "OUT" | "INOUT")).collect();
    if outs.len() > 1 {
        let name = |i: usize, n: &Option<crate::op::Name>| n.as_ref().map_or_else(|| format!("column{}", i + 1), |n| n.value.clone());
        return Returns::Table(outs.iter().enumerate().map(|(i, a)| (name(i, &a.name), resolve_type(s, f, &a.ty))).collect());
    }
    if let [one] = outs.as_slice() {
        return Returns::Scalar(resolve_type(s, f, &one.ty));
    }
    let Some(ty) = &f.def.returns else { return Returns::Nothing };
    match ty.name.as_str() {
        "void" => return Returns::Nothing,
        "record" | "trigger" | "event_trigger" => return Returns::Untold,
        n if n.starts_with("any") => return Returns::Untold,
        _ => {}
    }
    let defined = defining(s, f);
    if ty.array_dims == 0
        && !types::is_built_in(ty)
        && let Ok(rel) = defined.relation(&ty.name)
    {
        return match s.get(rel.id) {
            Some(now) => Returns::Row(now.clone()),
            None => Returns::Untold,
        };
    }
    Returns::Scalar(resolve_type(s, f, ty))
}

/// Runs what can be read of the body. Its errors come when the call runs.
fn check_body(b: &mut Binder<'_, '_>, f: &Arc<Function>, returns: &Returns) {
    if b.entered.contains(&f.id) || b.entered.len() > 8 || f.def.body_ops.is_empty() {
        return;
    }
    b.entered.push(f.id);
    let path: Vec<String> = match f.def.settings.iter().find(|(k, _)| k == "search_path") {
        Some((_, v)) => v.split(',').map(|p| p.trim().trim_matches(['\'', '"']).to_string()).collect(),
        None => b.s.path.to_vec(),
    };
    let owner = f.owner.clone();
    // A definer that the history does not name is the one who made everything else.
    let role = if f.def.security_definer { owner.as_deref() } else { b.s.role };
    let inner = Session { path: &path, role, ..*b.s };
    let scope = arguments_scope(&inner, f);
    let sql = f.def.language.eq_ignore_ascii_case("sql");
    let last = f.def.body_ops.len() - 1;
    for (i, op) in f.def.body_ops.iter().enumerate() {
        if op.conditional {
            continue;
        }
        let out = statement::run_in(&inner, op, &scope, b.entered.clone());
        let outer = b.may.len();
        b.may.extend(out.may);
        b.may[outer..].iter_mut().for_each(|m| m.key = format!("{}: {}", f.name, m.key));
        // The result is compared with what the function returns once the body is analysed, before privileges and rows are looked at.
        let analysed = !matches!(&out.fail, Some((Phase::Analysis, _)));
        if sql
            && i == last
            && analysed
            && !out.opaque
            && let Some(fail) = mismatch(&inner, op, out.columns.as_deref(), returns)
        {
            b.run.push(fail);
            break;
        }
        if let Some((_, fail)) = out.fail {
            b.run.push(Fail { state: fail.state, because: fail.because.or_else(|| Some(f.name.clone())) });
            break;
        }
    }
    b.entered.pop();
}

/// Arguments are names inside the body. In PL/pgSQL there are variables besides, so nothing is missing for sure.
fn arguments_scope(s: &Session<'_>, f: &Function) -> Scope {
    let mut scope = Scope::default();
    let columns = f
        .def
        .args
        .iter()
        .filter_map(|a| a.name.as_ref().map(|n| (n, &a.ty)))
        .map(|(n, ty)| ScopeColumn { name: n.value.clone(), ty: resolve_type(s, f, ty), collation: None, source: None, item: 0 })
        .collect();
    scope.push(Item {
        alias: f.name.clone(),
        schema: None,
        relation: None,
        columns,
        open: !f.def.language.eq_ignore_ascii_case("sql"),
        system_columns: false,
        qualified_only: false,
        needs_select: false,
    });
    scope
}

/// `check_sql_fn_retval`: the last statement's columns must be assignable to what the function returns, else 42P13.
fn mismatch(s: &Session<'_>, op: &Op, columns: Option<&[OutColumn]>, returns: &Returns) -> Option<Fail> {
    let expected: Vec<Option<ColumnType>> = match returns {
        Returns::Nothing | Returns::Untold => return None,
        Returns::Scalar(t) => vec![t.clone()],
        Returns::Row(rel) => rel.columns.iter().map(|c| known(&c.ty)).collect(),
        Returns::Table(c) => c.iter().map(|(_, t)| t.clone()).collect(),
    };
    let Some(columns) = columns else {
        let writes = matches!(&op.kind, OpKind::Dml(d) if d.returning.is_empty());
        return writes.then(|| Fail::bare("42P13"));
    };
    // One column may be the whole row.
    if columns.len() == 1 && expected.len() != 1 {
        return columns[0].ty.as_ref().is_some_and(|t| types::category(s.cat, t) != Category::Composite).then(|| Fail::bare("42P13"));
    }
    if columns.len() != expected.len() {
        return Some(Fail::bare("42P13"));
    }
    columns.iter().zip(&expected).find_map(|(c, e)| {
        let (Some(c_ty), Some(e_ty)) = (&c.ty, e) else { return None };
        let fits = types::cast(s.cat, c_ty, e_ty).is_some_and(|r| r >= Reach::Assignment) || c_ty.name == "unknown";
        (!fits).then(|| Fail::new("42P13", c.name.clone()))
    })
}
