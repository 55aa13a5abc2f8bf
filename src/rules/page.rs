//! A rule as a page of Markdown: what `airlock explain` shows.

use crate::diagnostic::RuleInfo;

use super::{Example, Rule, terminal};

impl Rule {
    pub fn info(&self) -> RuleInfo {
        RuleInfo {
            name: self.name.clone(),
            summary: self.summary.clone(),
            why: self.why.clone(),
            page: page(self),
            severity: self.severity,
            default: self.default,
            tags: self.tags.clone(),
        }
    }
}

pub fn page(rule: &Rule) -> String {
    let mut out = format!("# {}\n\n{}\n\n", rule.name, rule.summary);
    out.push_str(&format!("{} · {}{}\n\n", rule.group, rule.severity, if rule.default { "" } else { " · off by default" }));
    out.push_str(&format!("## Why\n\n{}\n\n## Instead\n\n{}\n", rule.why, rule.instead));
    if let Some(recipe) = &rule.recipe {
        out.push_str(&format!("\n`airlock plan` turns it into expand, migrate and contract (`{recipe}`).\n"));
    }
    if !rule.options.is_empty() {
        out.push_str(&format!(
            "\n## Options\n\nDefaults; other values go into `airlock.toml`:\n\n```toml\n[rules.options.{}]\n{}```\n",
            rule.name, rule.options
        ));
    }
    for e in &rule.examples {
        let (title, sql) = match (&e.flagged, &e.clean) {
            (Some(sql), _) => ("Flagged", sql),
            (_, Some(sql)) => ("Not flagged", sql),
            _ => continue,
        };
        let around = |notes: Vec<(&str, String)>| notes.iter().map(|(name, text)| comment(name, text)).collect::<String>();
        out.push_str(&format!("\n## {title}\n\n```sql\n{}{}\n{}```\n", around(before(e)), sql.trim(), around(after(e))));
    }
    out
}

/// What is so when the statement comes.
fn before(e: &Example) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    let mut note = |name, text: Option<String>| out.extend(text.filter(|t| !t.is_empty()).map(|t| (name, t)));
    let (history, numbers) = (&e.history, e.statistics.as_ref());
    note("earlier", Some(e.setup.clone()));
    note("pending, before this", e.earlier.clone());
    note("release N-1 runs", e.workload.clone());
    note("Postgres", e.only.map(|v| v.to_string()).or_else(|| (e.since > 0).then(|| format!("{} and later", e.since))));
    note("the runner", (!e.transaction).then(|| "sends each statement by itself, without a transaction".into()));
    note(
        "statistics",
        numbers.map(|s| s.rows.iter().map(|(table, rows)| format!("{table} has {rows} rows")).collect::<Vec<_>>().join(", ")),
    );
    let unused = |(table, names): (&String, &Vec<String>)| format!("nothing has used {} of {table}", names.join(", "));
    note("statistics", numbers.map(|s| s.unused.iter().map(unused).collect::<Vec<_>>().join(", ")));
    note("statistics", numbers.and_then(|s| s.longest_transaction).map(|t| format!("the oldest transaction is {t} s old")));
    note("history", history.duplicate.as_ref().map(|f| format!("{f} has the same version")));
    note("history", history.overtaken_by.as_ref().map(|f| format!("{f} has a later version and is in already")));
    note("history", history.edited.then(|| "the file was changed after it had been committed".into()));
    note("history", history.down_expected.then(|| "the other migrations have a down half".into()));
    out
}

fn after(e: &Example) -> Vec<(&'static str, String)> {
    let halves = [("down", &e.down), ("later", &e.later)];
    halves.into_iter().filter_map(|(name, text)| Some((name, text.clone()?))).collect()
}

/// Lines of a comment, as wide as a terminal of 80 columns shows them beside what the page puts before code.
fn comment(name: &str, text: &str) -> String {
    terminal::wrap(&format!("-- {name}: {text}"), 76, "--   ").join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RuleSet;

    #[test]
    fn what_is_around_an_example_stands_in_comments_that_fit() {
        for e in RuleSet::built_in().iter().flat_map(|r| &r.examples) {
            let lines = before(e).into_iter().chain(after(e)).map(|(name, text)| comment(name, &text)).collect::<String>();
            let long = |l: &&str| l.chars().count() > 76 && l.trim_start_matches("--   ").contains(' ');
            assert!(lines.lines().all(|l| l.starts_with("--")) && lines.lines().find(long).is_none(), "{lines}");
        }
        let text = "CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0,\n note text);";
        let said = comment("earlier", text);
        assert_eq!(
            said,
            "-- earlier: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint,\n--   total int NOT NULL DEFAULT 0, note text);\n"
        );
    }
}
