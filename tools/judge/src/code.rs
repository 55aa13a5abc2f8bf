//! Static SQL in code: what PL/pgSQL's own parser finds in DO blocks and functions, against what we find.

use airlock::op::{Op, OpKind, Statement};
use airlock::source::SourceFile;
use serde_json::Value;

use crate::judge::{Mode, NO_EFFECT, Outcome, trees};
use crate::tree;
use crate::write;

pub fn compare(source: &SourceFile, s: &Statement) -> Outcome {
    let Some(first) = s.ops.first() else { return Outcome::default() };
    // Templates inside of code are words to nobody.
    if source.slice(s.span).contains("{{") {
        return Outcome::default();
    }
    let mut optional = Vec::new();
    let (theirs, ours): (Vec<String>, Vec<Op>) = match &first.kind {
        OpKind::DoBlock { language, .. } if language == "plpgsql" => {
            // Not our concern if it cannot be read: a server refuses it, too.
            let Some(found) = plpgsql(source.slice(s.span), &mut optional) else { return Outcome::default() };
            (found, s.ops[1..].to_vec())
        }
        OpKind::CreateFunction(f) if f.language == "plpgsql" && !f.body.is_empty() => {
            let Some(found) = plpgsql(source.slice(s.span), &mut optional) else { return Outcome::default() };
            (found, f.body_ops.clone())
        }
        OpKind::CreateFunction(f)
            if f.language == "sql" && !f.body.is_empty() && f.body_span.is_some_and(|b| source.slice(b).starts_with(['$', '\''])) =>
        {
            let Ok(found) = tree::parse(&f.body) else { return Outcome::default() };
            (found.iter().map(|p| f.body.get(p.start..p.end).unwrap_or("").to_string()).collect(), f.body_ops.clone())
        }
        _ => return Outcome::default(),
    };
    let mut left: Vec<Vec<Op>> = Vec::new();
    for o in ours.into_iter().filter(|o| !matches!(o.kind, OpKind::Opaque { .. })) {
        match left.last_mut() {
            // The subcommands of one ALTER.
            Some(group)
                if group[0].command == o.command
                    && matches!((&group[0].kind, &o.kind), (OpKind::Alter { target: a, .. }, OpKind::Alter { target: b, .. }) if a == b)
                    && group.last().is_some_and(|l| l.span != o.span) =>
            {
                group.push(o)
            }
            _ => left.push(vec![o]),
        }
    }
    let mut out = Outcome::default();
    let mut unmatched: Vec<(String, Option<Outcome>)> = Vec::new();
    let wanted = theirs.len();
    'theirs: for (i, text) in theirs.into_iter().chain(optional).enumerate() {
        let Ok(mut parsed) = tree::parse(&text) else { continue };
        let Some(parsed) = parsed.pop() else { continue };
        if NO_EFFECT.contains(&parsed.kind.as_str()) {
            continue;
        }
        let mut near = None;
        for i in 0..left.len() {
            let Some(Ok(sql)) = write::statement(&left[i], source) else { continue };
            let o = trees(parsed.tree.clone(), &sql, Mode::Code);
            if o.wrong.is_empty() {
                out.left_out.extend(o.left_out);
                left.remove(i);
                continue 'theirs;
            }
            if o.wrong.iter().all(|w| !w.0.starts_with('<')) && near.is_none() {
                near = Some(o);
            }
        }
        if i < wanted {
            unmatched.push((text, near));
        }
    }
    for (text, near) in unmatched {
        let words = text.split_whitespace().next().unwrap_or("").to_ascii_uppercase();
        let near = near.and_then(|o| o.wrong.into_iter().next()).map(|w| format!(" (nearest: {} {})", w.0, w.1)).unwrap_or_default();
        out.wrong.push((format!("code: {words} is not found"), format!("{}{near}", crate::judge::shorten(&text))));
    }
    for group in left {
        // EXECUTE of a text that is known, though it is no literal.
        if source.slice(group[0].span).get(..7).is_some_and(|w| w.eq_ignore_ascii_case("execute")) {
            continue;
        }
        let kind: &str = (&group[0].kind).into();
        let words = match write::statement(&group, source) {
            Some(Ok(sql)) => sql,
            Some(Err(e)) => e,
            None => String::new(),
        };
        out.wrong.push((format!("code: {kind} is not there"), crate::judge::shorten(&words)));
    }
    out
}

/// Statements that the language's own parser finds: static SQL, PERFORM, CALL, EXECUTE of a literal, queries of RETURN QUERY and FOR.
/// `optional` gets expressions that are assigned: those that call something are followed in blocks that run.
fn plpgsql(statement: &str, optional: &mut Vec<String>) -> Option<Vec<String>> {
    let tree = pg_query::parse_plpgsql(statement).ok()?;
    let mut out = Vec::new();
    walk(&tree, &mut out, optional);
    Some(out)
}

fn walk(v: &Value, out: &mut Vec<String>, optional: &mut Vec<String>) {
    let query =
        |v: Option<&Value>| v.and_then(|e| e.get("PLpgSQL_expr")).and_then(|e| e.get("query")).and_then(Value::as_str).map(str::to_string);
    match v {
        Value::Array(list) => list.iter().for_each(|v| walk(v, out, optional)),
        Value::Object(o) => {
            for (kind, inner) in o {
                match kind.as_str() {
                    "PLpgSQL_stmt_assign" => {
                        let value = query(inner.get("expr"))
                            .and_then(|q| Some(q.split_once(":=").or_else(|| q.split_once('='))?.1.trim().to_string()));
                        optional.extend(value.map(|v| format!("SELECT {v}")));
                    }
                    "PLpgSQL_var" => optional.extend(query(inner.get("default_val")).map(|v| format!("SELECT {v}"))),
                    "PLpgSQL_stmt_execsql" => out.extend(query(inner.get("sqlstmt"))),
                    "PLpgSQL_stmt_perform" | "PLpgSQL_stmt_call" => out.extend(query(inner.get("expr"))),
                    "PLpgSQL_stmt_return_query" | "PLpgSQL_stmt_fors" | "PLpgSQL_stmt_open" => {
                        out.extend(query(inner.get("query")));
                        out.extend(query(inner.get("dynquery")).iter().flat_map(|q| literal(q)));
                    }
                    "PLpgSQL_stmt_dynexecute" | "PLpgSQL_stmt_dynfors" => {
                        out.extend(query(inner.get("query")).iter().flat_map(|q| literal(q)))
                    }
                    "PLpgSQL_stmt_commit" | "PLpgSQL_stmt_rollback" => {
                        let chain = if inner.get("chain").is_some_and(|c| c != &Value::Bool(false)) { " AND CHAIN" } else { "" };
                        out.push(format!("{}{chain}", if kind.ends_with("commit") { "COMMIT" } else { "ROLLBACK" }));
                    }
                    _ => {}
                }
                walk(inner, out, optional);
            }
        }
        _ => {}
    }
}

/// The statements in `'…'`, if the expression is nothing else.
fn literal(expression: &str) -> Vec<String> {
    let Ok(mut p) = tree::parse(&format!("SELECT {expression}")) else { return Vec::new() };
    let Some(p) = p.pop() else { return Vec::new() };
    let value = p.tree.pointer("/SelectStmt/targetList/0/ResTarget/val/A_Const/sval/sval").and_then(Value::as_str).map(str::to_string);
    let Some(text) = value else { return Vec::new() };
    match tree::parse(&text) {
        Ok(all) => all.iter().map(|p| text.get(p.start..p.end).unwrap_or("").to_string()).collect(),
        Err(_) => Vec::new(),
    }
}
