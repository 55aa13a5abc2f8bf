//! Facts about indexes: what they repeat, and what is missing while one is replaced.

use crate::catalog::{Index, Relation};
use crate::op::{ObjectKind, Op, OpKind, QName};

use super::collect::{Place, is_old};
use super::{Facts, Value};

pub fn about(place: &Place<'_>, f: &mut Facts, op: &Op) {
    match &op.kind {
        OpKind::CreateIndex(c) => {
            f.flag("index.named", c.name.is_some());
            f.text("index.method", c.method.as_deref().unwrap_or("btree"));
            f.set("index.columns", Value::Number(c.elements.len() as i64));
            f.flag("index.only", c.only);
            if let Some(n) = &c.name {
                let same = |o: &crate::op::ObjectRef| o.kind == ObjectKind::Index && o.name.as_str() == n.as_str();
                let earlier = place.script.statements.iter().take(place.at).flat_map(|s| &s.statement.ops);
                f.flag(
                    "index.dropped_before",
                    earlier.into_iter().any(|o| matches!(&o.kind, OpKind::Drop { objects, .. } if objects.iter().any(same))),
                );
            }
            let Some(table) = place.r.before.relation_by(&c.table) else { return };
            place.known.unused_indexes(f, place.r, table);
            f.set("table.indexes", Value::Number(place.r.after.indexes_of(table.id).len() as i64));
            // A code block may make several.
            let this = |name: &str| c.name.as_ref().is_none_or(|n| n.as_str() == name);
            let mut made = place.r.after.indexes_of(table.id).into_iter().filter(|r| !place.r.before.relations.contains_key(&r.id));
            let new = made.find(|r| this(&r.name));
            let Some(new) = new else {
                // IF NOT EXISTS, and there is one.
                f.flag("index.existed", c.if_not_exists);
                return;
            };
            f.text("index", new.name.as_str());
            if let Some(i) = &new.index {
                repeats(f, i);
                twins(place, f, table, i);
            }
        }
        OpKind::Drop { objects, .. } => {
            for o in objects.iter().filter(|o| o.kind == ObjectKind::Index) {
                gap(place, f, &o.name);
            }
        }
        _ => {}
    }
}

fn repeats(f: &mut Facts, index: &Index) {
    let keys: Vec<String> = (0..index.elements.len()).map(|n| key(index, n)).collect();
    if let Some(k) = keys.iter().enumerate().find(|(n, k)| keys[..*n].contains(k)).map(|(_, k)| k) {
        f.text("index.repeats", k.as_str());
    }
}

/// One key as text that can be compared: expression or column, collation, operator class.
fn key(index: &Index, n: usize) -> String {
    let Some(e) = index.elements.get(n) else { return String::new() };
    let what = index
        .columns
        .get(n)
        .cloned()
        .flatten()
        .unwrap_or_else(|| e.expr.text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase());
    let name = |q: &Option<QName>| q.as_ref().map(|q| format!(" {q}")).unwrap_or_default();
    format!("{what}{}{}", name(&e.collation), name(&e.opclass))
}

fn order(index: &Index, n: usize) -> (bool, bool) {
    index.elements.get(n).map_or((false, false), |e| (e.descending, e.nulls_first.unwrap_or(e.descending)))
}

fn twins(place: &Place<'_>, f: &mut Facts, table: &Relation, new: &Index) {
    let words = |i: &Index| i.filter.as_ref().map(|e| e.text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase());
    for old in place.r.before.indexes_of(table.id) {
        let Some(o) = &old.index else { continue };
        if o.method != new.method || words(o) != words(new) || !o.valid {
            continue;
        }
        let n = new.elements.len();
        let leads = o.elements.len() >= n && (0..n).all(|k| key(o, k) == key(new, k) && order(o, k) == order(new, k));
        if !leads || n == 0 {
            continue;
        }
        let same = o.elements.len() == n && new.include.iter().all(|c| o.include.contains(c));
        // A unique index says more than one that is not, so it is no repetition of it.
        if same && (o.unique || !new.unique) && o.nulls_not_distinct == new.nulls_not_distinct {
            f.text("index.same_as", old.name.as_str());
        } else if o.elements.len() > n && !new.unique && new.include.is_empty() && new.method == "btree" {
            f.text("index.prefix_of", old.name.as_str());
        }
    }
}

/// The index goes first and its successor comes in a later transaction: in between there is none.
fn gap(place: &Place<'_>, f: &mut Facts, name: &QName) {
    let before = &place.r.before;
    let Some(old) = before.relation_by(name) else { return };
    let Some(i) = old.index.as_ref().filter(|i| i.valid) else { return };
    let Some(table) = before.relation(i.table).filter(|t| is_old(place.script, t) && is_old(place.script, old)) else { return };
    let first = key(i, 0);
    let covered = place.r.after.indexes_of(table.id).into_iter().filter_map(|r| r.index.as_ref()).any(|x| key(x, 0) == first);
    if covered {
        return;
    }
    for r in place.script.statements.iter().skip(place.at + 1).filter(|r| r.transaction != place.r.transaction) {
        let made = r
            .after
            .indexes_of(table.id)
            .into_iter()
            .find(|x| !r.before.relations.contains_key(&x.id) && x.index.as_ref().is_some_and(|x| key(x, 0) == first));
        if let Some(made) = made {
            f.text("index.gap_until", made.name.as_str());
            return;
        }
    }
}
