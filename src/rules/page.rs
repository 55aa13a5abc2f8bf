//! A rule as a page of Markdown: what `airlock explain` shows.

use crate::diagnostic::RuleInfo;

use super::Rule;

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
        out.push_str(&format!("\n## {title}\n\n```sql\n"));
        if !e.setup.is_empty() {
            out.push_str(&format!("-- earlier: {}\n", e.setup.trim()));
        }
        out.push_str(sql.trim());
        if let Some(down) = &e.down {
            out.push_str(&format!("\n-- down: {}", down.trim()));
        }
        out.push_str("\n```\n");
    }
    out
}
