//! What changes in a schema of many objects is found, wherever it stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::ordmap::DiffItem;
use proptest::prelude::*;

use super::{Catalog, Id, Relation};
use crate::history::{Execution, Send};
use crate::op::PgVersion;

/// By looking at every relation.
fn looked_up(before: &Catalog, after: &Catalog) -> BTreeMap<Id, (bool, bool)> {
    let ids = before.relations.keys().chain(after.relations.keys());
    let differ = |id: &Id| {
        let (was, is): (Option<&Arc<Relation>>, _) = (before.relations.get(id), after.relations.get(id));
        (was != is).then_some((*id, (was.is_some(), is.is_some())))
    };
    ids.filter_map(differ).collect()
}

fn by_difference(before: &Catalog, after: &Catalog) -> BTreeMap<Id, (bool, bool)> {
    let seen = before.relations.diff(&after.relations).map(|item| match item {
        DiffItem::Add(id, _) => (*id, (false, true)),
        DiffItem::Update { old: (id, _), .. } => (*id, (true, true)),
        DiffItem::Remove(id, _) => (*id, (true, false)),
    });
    seen.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn differences_are_found_among_many_relations(tables in 1usize..150, changes in prop::collection::vec((0u8..4, 0usize..150), 1..6)) {
        let execution = Execution::new(false, Send::Statement);
        let mut catalog = Catalog::new(PgVersion(15));
        let made: String = (0..tables).map(|i| format!("CREATE TABLE t{i} (id int PRIMARY KEY, a int);")).collect();
        crate::replay::apply(&crate::lower::lower_text(&made), &execution, &mut catalog);
        let before = catalog.clone();
        for (n, (kind, table)) in changes.into_iter().enumerate() {
            let t = table % tables;
            let sql = match kind {
                0 => format!("DROP TABLE IF EXISTS t{t}"),
                1 => format!("CREATE TABLE n{n} (id int)"),
                2 => format!("ALTER TABLE IF EXISTS t{t} ADD COLUMN IF NOT EXISTS b{n} int"),
                _ => format!("ALTER TABLE IF EXISTS t{t} DROP CONSTRAINT IF EXISTS t{t}_pkey"),
            };
            crate::replay::apply(&crate::lower::lower_text(&sql), &execution, &mut catalog);
            prop_assert_eq!(by_difference(&before, &catalog), looked_up(&before, &catalog));
        }
    }
}
