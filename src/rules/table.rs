//! The list of rules for the documentation, with what each has to know.

use crate::facts::{self, Needs};

use super::{Rule, RuleSet};

/// The most that any condition of the rule asks for.
pub fn needs(rule: &Rule) -> Needs {
    rule.when.iter().flat_map(|w| w.facts()).map(|f| facts::needs(&f)).max().unwrap_or(Needs::Statement)
}

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
        out.push_str(&format!(
            "\n## {group}\n\n| rule | finds | default | severity | needs | fix | scales |\n|---|---|---|---|---|---|---|\n"
        ));
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

    #[test]
    fn what_a_rule_needs_follows_from_its_facts() {
        let need = |name: &str| needs(RuleSet::built_in().get(name).expect(name));
        assert_eq!(need("prefer-jsonb"), Needs::Statement);
        assert_eq!(need("drop-column"), Needs::Schema);
        assert_eq!(need("arbiter-lost"), Needs::Application);
    }

    #[test]
    fn the_documentation_is_up_to_date() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md");
        let now = std::fs::read_to_string(path).unwrap_or_default();
        assert!(now == markdown(RuleSet::built_in()), "write it anew: cargo run -- rules --output-format markdown > docs/rules.md");
    }
}
