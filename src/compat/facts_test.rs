//! Predicted equals what was recorded on real servers: which query of the old release fails, fresh and prepared, and with what.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::*;
use crate::history::{Execution, Send};

#[derive(Deserialize)]
struct Case {
    name: String,
    up: String,
    broken: Vec<Recorded>,
}

#[derive(Deserialize)]
struct Recorded {
    postgres: Vec<u8>,
    queries: BTreeMap<String, String>,
}

impl Recorded {
    fn holds_on(&self, major: u8) -> bool {
        self.postgres.iter().any(|p| *p <= major) && self.postgres.iter().any(|p| *p >= major)
    }
}

#[test]
fn predicted_equals_the_recorded_observations() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/facts/compat");
    let Ok(cases) = std::fs::read_to_string(folder.join("cases.json")) else { return };
    let read = |f: &str| std::fs::read_to_string(folder.join(f)).expect("reads");
    let cases: Vec<Case> = serde_json::from_str(&cases).expect("reads");
    let mut texts: BTreeMap<String, String> = serde_json::from_str(&read("queries.json")).expect("reads");
    // The recording runs these two beside the others.
    texts.insert("copy_cols".into(), "copy t (a,b) from stdin".into());
    texts.insert("copy_nocols".into(), "copy t from stdin".into());
    let queries: Vec<KnownQuery> = texts
        .into_iter()
        .map(|(name, sql)| {
            let sql = sql.replace("{k}", "1001").replace("{i}", "1002");
            let parsed = crate::lower::lower_text(&sql).into_iter().flat_map(|s| s.ops).collect();
            KnownQuery { name, sql, parsed }
        })
        .collect();
    let execution = Execution::new(false, Send::Statement);
    let base = crate::lower::lower_text(&read("base.sql"));
    let (mut total, mut wrong) = (0, Vec::new());
    for major in PgVersion::SUPPORTED {
        let mut catalog = Catalog::new(PgVersion(major));
        crate::replay::apply(&base, &execution, &mut catalog);
        let path = crate::lower::lower_text("SET search_path = c, public");
        path.iter().for_each(|s| drop(catalog.apply_statement(s)));
        for case in &cases {
            // Recorded on three versions: what the nearest ones on both sides agree on holds between them.
            let Some(r) = case.broken.iter().find(|b| b.holds_on(major)) else { continue };
            let mut after = catalog.clone();
            for s in crate::lower::lower_text(&case.up) {
                after.apply_statement(&s);
            }
            let predicted = judge(&queries, &catalog, &after, Some("appu"), PgVersion(major));
            total += queries.len();
            for name in predicted.keys().chain(r.queries.keys()).collect::<std::collections::BTreeSet<_>>() {
                let (p, o) = (predicted.get(name), r.queries.get(name));
                if p != o {
                    wrong.push(format!("{major} {} ({}): {name}: predicted {p:?}, recorded {o:?}", case.name, case.up.replace('\n', " ")));
                }
            }
        }
    }
    println!("{} of {total} recorded answers predicted", total - wrong.len());
    assert!(wrong.is_empty(), "{} of {total} differ:\n{}", wrong.len(), wrong.join("\n"));
}
