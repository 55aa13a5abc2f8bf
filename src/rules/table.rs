//! The list of rules for the documentation, with what each has to know.

use super::{Rule, RuleSet};

/// What a rule has to know, least first. Derived from the facts that it asks for, so it is never out of date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Need {
    /// The statement alone.
    Statement,
    /// The file and its transactions.
    File,
    /// The schema that the earlier migrations made.
    Catalog,
    /// What release N-1 runs: shapes of statements that are judged on the schema, or a workload.
    Application,
    /// Sizes or rates of a real database.
    Data,
}

/// The most that any condition of the rule asks for.
pub fn needs(rule: &Rule) -> Need {
    rule.when.iter().flat_map(|w| w.facts()).map(|f| need(&f)).max().unwrap_or(Need::Statement)
}

fn need(fact: &str) -> Need {
    let starts = |list: &[&str]| list.iter().any(|p| fact == *p || fact.strip_prefix(p).is_some_and(|r| r.starts_with('.')));
    if starts(&["table.rows", "table.bytes", "table.writes_per_second", "table.reads_per_second"]) {
        Need::Data
    } else if starts(&["breaks", "workload"]) {
        Need::Application
    } else if starts(&FROM_THE_FILE) {
        Need::File
    } else if FROM_THE_STATEMENT.contains(&fact) {
        Need::Statement
    } else {
        Need::Catalog
    }
}

const FROM_THE_FILE: [&str; 5] = ["in_transaction", "lock_timeout", "constraint.same_transaction", "holds_exclusive", "down"];

const FROM_THE_STATEMENT: [&str; 29] = [
    "op",
    "command",
    "conditional",
    "nested",
    "pg",
    "if_exists",
    "cascade",
    "bounded",
    "full",
    "new_name",
    "opaque",
    "object",
    "object.kind",
    "constraint",
    "constraint.kind",
    "constraint.not_valid",
    "constraint.using_index",
    "index.concurrently",
    "view.concurrently",
    "column",
    "column.filled",
    "column.identity",
    "column.serial",
    "column.generated",
    "type.new",
    "referenced",
    "table",
    "index",
    "index.unique",
];

/// `docs/rules.md`. `airlock rules --output-format markdown > docs/rules.md` writes it anew.
pub fn markdown(set: &RuleSet) -> String {
    let mut out = String::from(
        "# Rules\n\nMade by `airlock rules --output-format markdown > docs/rules.md`; `airlock explain RULE` shows a rule's page.\n\n\
         **Needs** says what a check has to know: the *statement* alone; the *file* and its transactions; the *catalog* replayed from the earlier\n\
         migrations; the *application*'s statements; *data* from `airlock stats`. **Fix**: `--fix` mends it, *unsafe* ones with `--unsafe-fixes`.\n\
         **Scales**: on a table that the statistics call small it is advice.\n",
    );
    let mut groups: Vec<&str> = set.iter().map(|r| r.group.as_str()).collect();
    groups.sort_unstable();
    groups.dedup();
    for group in groups {
        out.push_str(&format!("\n## {group}\n\n| rule | finds | default | severity | needs | fix | scales |\n|---|---|---|---|---|---|---|\n"));
        let mut rules: Vec<&Rule> = set.iter().filter(|r| r.group == group).collect();
        rules.sort_by_key(|r| &r.name);
        for r in rules {
            let fix = match (r.fixes.iter().any(|f| f.safe), r.fixes.is_empty()) {
                (true, _) => "yes",
                (false, false) => "unsafe",
                (false, true) => "",
            };
            out.push_str(&format!(
                "| `{}` | {} | {} | {} | {} | {fix} | {} |\n",
                r.name,
                r.summary.replace('|', "\\|"),
                if r.default { "on" } else { "off" },
                r.severity,
                needs(r),
                if r.scales { "yes" } else { "" }
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts;

    #[test]
    fn what_a_rule_needs_follows_from_its_facts() {
        let need = |name: &str| needs(RuleSet::built_in().get(name).expect(name));
        assert_eq!(need("truncate-cascade"), Need::Statement);
        assert_eq!(need("drop-column"), Need::Catalog);
        assert_eq!(need("drop-constraint-arbiter"), Need::Application);
        assert!(facts::VOCABULARY.iter().filter(|(n, _)| n.starts_with("table.rows")).all(|(n, _)| super::need(n) == Need::Data));
    }

    #[test]
    fn the_documentation_is_up_to_date() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md");
        let now = std::fs::read_to_string(path).unwrap_or_default();
        assert!(now == markdown(RuleSet::built_in()), "write it anew: cargo run -- rules --output-format markdown > docs/rules.md");
    }
}
