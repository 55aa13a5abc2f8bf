//! Facts about the names that a script gives: one set (`op = "name"`) for each of them.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::op::{AlterAction, ColumnDef, Name, Op, OpKind, QName, TableConstraint};
use crate::quote::MAX_IDENT_BYTES;
use crate::source::Span;

use super::collect::Place;
use super::{Facts, Value};

/// Words that cannot be a table or column without quotes (`pg_get_keywords`: reserved, or reserved but for functions and types), 14 to 18.
const RESERVED: &str = "all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column \
    concurrently constraint create cross current_catalog current_date current_role current_schema current_time current_timestamp \
    current_user default deferrable desc distinct do else end except false fetch for foreign freeze from full grant group having ilike in \
    initially inner intersect into is isnull join lateral leading left like limit localtime localtimestamp natural not notnull null offset \
    on only or order outer overlaps placing primary references returning right select session_user similar some symmetric system_user \
    table tablesample then to trailing true union unique user using variadic verbose when where window with";

fn is_reserved(name: &str) -> bool {
    static WORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| RESERVED.split_whitespace().collect());
    WORDS.contains(name)
}

/// Takes a name: its kind, whether a schema stands in front where one could, and the table that it belongs to.
type Give<'g> = dyn FnMut(&str, &Name, Option<bool>, Option<&QName>) + 'g;

pub fn names(place: &Place<'_>, op: &Op) -> Vec<Facts> {
    let mut out = Vec::new();
    let mut give = |kind: &str, name: &Name, qualified: Option<bool>, table: Option<&QName>| {
        out.push(one(place, kind, name, qualified, table, op.span));
    };
    let columns = |cs: &mut dyn Iterator<Item = &ColumnDef>, table: &QName, give: &mut Give<'_>| {
        for c in cs {
            give("column", &c.name, None, Some(table));
            named(c.constraints.iter(), table, give);
        }
    };
    match &op.kind {
        OpKind::CreateTable(t) => {
            // A partition is called as its parent's owner wishes, but it is called by somebody too.
            give("table", &t.name.name, Some(t.name.schema.is_some() || is_temporary(t.persistence)), None);
            columns(&mut t.columns.iter(), &t.name, &mut give);
            named(t.constraints.iter(), &t.name, &mut give);
        }
        OpKind::CreateTableAs(t) => give("table", &t.name.name, Some(t.name.schema.is_some() || is_temporary(t.persistence)), None),
        OpKind::CreateView(v) => give("view", &v.name.name, Some(v.name.schema.is_some() || v.temporary), None),
        OpKind::CreateIndex(i) => {
            if let Some(n) = &i.name {
                give("index", &n.name, None, Some(&i.table));
            }
        }
        OpKind::CreateSequence { name, .. } => give("sequence", &name.name, Some(name.schema.is_some()), None),
        OpKind::CreateEnum { name, .. }
        | OpKind::CreateDomain { name, .. }
        | OpKind::CreateComposite { name, .. }
        | OpKind::CreateOtherType { name, .. } => give("type", &name.name, Some(name.schema.is_some()), None),
        OpKind::CreateFunction(c) => give("function", &c.name.name, Some(c.name.schema.is_some()), None),
        OpKind::CreateTrigger(t) => give("trigger", &t.name, None, Some(&t.table)),
        OpKind::CreatePolicy(p) => give("policy", &p.name, None, Some(&p.table)),
        OpKind::CreateSchema { name: Some(n), .. } => give("schema", n, None, None),
        OpKind::Alter { target, action } => match action {
            AlterAction::AddColumn { column, .. } => columns(&mut std::iter::once(&**column), &target.name, &mut give),
            AlterAction::AddConstraint(c) => named(std::iter::once(&**c), &target.name, &mut give),
            AlterAction::RenameColumn { to, .. } => give("column", to, None, Some(&target.name)),
            AlterAction::RenameConstraint { to, .. } => give("constraint", to, None, Some(&target.name)),
            AlterAction::RenameTo { to } => {
                let kind = place.relation(&target.name).map_or("table", |r| match r.kind {
                    k if k.is_index() => "index",
                    crate::catalog::RelKind::View | crate::catalog::RelKind::MaterializedView => "view",
                    crate::catalog::RelKind::Sequence => "sequence",
                    _ => "table",
                });
                give(kind, to, None, None);
            }
            _ => {}
        },
        _ => {}
    }
    out
}

fn is_temporary(p: crate::op::Persistence) -> bool {
    p == crate::op::Persistence::Temporary
}

fn named<'c>(constraints: impl Iterator<Item = &'c TableConstraint>, table: &QName, give: &mut Give<'_>) {
    for n in constraints.filter_map(|c| c.name.as_ref()) {
        give("constraint", n, None, Some(table));
    }
}

fn one(place: &Place<'_>, kind: &str, name: &Name, qualified: Option<bool>, table: Option<&QName>, whole: Span) -> Facts {
    let span = if name.span.is_empty() { whole } else { name.span };
    let mut f = place.facts("name", span);
    if let Some(t) = table {
        place.table(&mut f, t);
    }
    f.object = name.value.clone();
    f.text("name", name.as_str());
    f.text("name.kind", kind);
    f.set("name.bytes", Value::Number(name.value.len() as i64));
    f.flag("name.too_long", name.value.len() > MAX_IDENT_BYTES);
    f.flag("name.mixed_case", name.value.chars().any(char::is_uppercase));
    f.flag("name.reserved", is_reserved(&name.value));
    if let Some(q) = qualified {
        f.flag("name.unqualified", !q);
    }
    f
}

#[cfg(test)]
mod tests {
    use super::RESERVED;

    #[test]
    fn live_reserved_words_are_those_of_the_server() {
        use crate::shadow::{Shadow, ShadowOptions};
        let pg = crate::op::PgVersion::of_tests();
        let shadow = Shadow::start(&ShadowOptions { pg, exact: true, ..ShadowOptions::default() }).expect("a server");
        let db = shadow.database().expect("a database");
        let mut session = db.connect().expect("a session");
        let rows = session.rows("SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T') ORDER BY 1").expect("keywords");
        let server: Vec<String> = rows.into_iter().filter_map(|r| r.into_iter().next().flatten()).collect();
        let ours: Vec<&str> = RESERVED.split_whitespace().collect();
        let missing: Vec<&String> = server.iter().filter(|w| !ours.contains(&w.as_str())).collect();
        assert!(missing.is_empty(), "reserved on {pg}, and not in the list: {missing:?}");
        // 16 reserved `system_user`; all others are reserved since long.
        let extra: Vec<&&str> = ours.iter().filter(|w| **w != "system_user" && !server.iter().any(|s| s == **w)).collect();
        assert!(extra.is_empty(), "not reserved on {pg}: {extra:?}");
    }
}
