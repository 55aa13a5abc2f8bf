//! Files in which a runner writes its order down: they change by one entry, and keep every other byte.

use super::versions;

/// `sqitch.plan` with one more change.
pub fn sqitch_with(plan: &str, name: &str, note: &str, now: u64) -> String {
    let stamp = versions::stamp(now);
    let (date, time) = (versions::date(now), format!("{}:{}:{}", &stamp[8..10], &stamp[10..12], &stamp[12..14]));
    let note = note.replace(['\n', '\r', '\\'], " ");
    let gap = if plan.is_empty() || plan.ends_with('\n') { "" } else { "\n" };
    format!("{plan}{gap}{name} {date}T{time}Z Airlock <airlock@localhost> # {note}\n")
}

/// The last change of that name goes.
pub fn sqitch_without(plan: &str, name: &str) -> String {
    let lines: Vec<&str> = plan.split_inclusive('\n').collect();
    let is = |l: &str| l.split_whitespace().next().is_some_and(|w| w.trim_start_matches(['+', '-']) == name);
    let at = lines.iter().rposition(|l| is(l));
    lines.iter().enumerate().filter(|(i, _)| Some(*i) != at).map(|(_, l)| *l).collect()
}

fn entries(journal: &str) -> Result<Vec<serde_json::Value>, String> {
    let value: serde_json::Value = serde_json::from_str(journal).map_err(|e| format!("not JSON: {e}"))?;
    value.get("entries").and_then(|e| e.as_array()).cloned().ok_or_else(|| "it has no list `entries`".to_string())
}

/// `meta/_journal.json` with one more entry. `now`: milliseconds since 1970; drizzle takes what is later than the last one that it ran.
pub fn drizzle_with(journal: &str, tag: &str, now: u64) -> Result<String, String> {
    let old = entries(journal)?;
    let most = |key: &str| old.iter().filter_map(|e| e.get(key)?.as_u64()).max();
    let (idx, when) = (most("idx").map_or(0, |i| i + 1), most("when").map_or(now, |w| now.max(w + 1)));
    let version = old.last().and_then(|e| e.get("version")).cloned().unwrap_or_else(|| "7".into());
    let tag = serde_json::Value::from(tag);
    let entry = format!(
        "    {{\n      \"idx\": {idx},\n      \"version\": {version},\n      \"when\": {when},\n      \"tag\": {tag},\n      \"breakpoints\": true\n    }}"
    );
    // Behind the last entry, or inside of the brackets of an empty list.
    let end = journal.find("\"entries\"").and_then(|at| Some(at + journal[at..].rfind(']')?)).ok_or("it has no list `entries`")?;
    let head = journal[..end].trim_end();
    let comma = if old.is_empty() { "" } else { "," };
    let new = format!("{head}{comma}\n{entry}\n  {}", &journal[end..]);
    if entries(&new).map(|n| n.len()) == Ok(old.len() + 1) { Ok(new) } else { Err("an entry cannot be added; add it by hand".into()) }
}

/// The entry of that tag goes.
pub fn drizzle_without(journal: &str, tag: &str) -> Result<String, String> {
    let old = entries(journal)?;
    if !old.iter().any(|e| e.get("tag").and_then(|t| t.as_str()) == Some(tag)) {
        return Ok(journal.to_string());
    }
    let cannot = || format!("the entry `{tag}` cannot be taken out; take it out by hand");
    let quoted = serde_json::Value::from(tag).to_string();
    let at = journal
        .match_indices(&quoted)
        .map(|(i, _)| i)
        .find(|i| journal[..*i].trim_end().trim_end_matches(':').trim_end().ends_with("\"tag\""));
    let at = at.ok_or_else(cannot)?;
    let (start, end) = (journal[..at].rfind('{').ok_or_else(cannot)?, at + journal[at..].find('}').ok_or_else(cannot)? + 1);
    let (head, tail) = (journal[..start].trim_end(), &journal[end..]);
    // One comma goes with it.
    let new = match (head.strip_suffix(','), tail.trim_start().strip_prefix(',')) {
        (_, Some(rest)) => format!("{}{rest}", &journal[..start].trim_end_matches([' ', '\t', '\n', '\r'])),
        (Some(head), None) => format!("{head}{tail}"),
        (None, None) => format!("{head}{tail}"),
    };
    if entries(&new).map(|n| n.len()) == Ok(old.len() - 1) { Ok(new) } else { Err(cannot()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_changes_by_one_entry() {
        let empty = "{\n  \"version\": \"7\",\n  \"entries\": []\n}\n";
        let one = drizzle_with(empty, "0000_a", 5).expect("fits");
        let two = drizzle_with(&one, "0001_b", 3).expect("fits");
        let found = entries(&two).expect("reads");
        assert_eq!(found.iter().map(|e| e["idx"].as_u64()).collect::<Vec<_>>(), [Some(0), Some(1)]);
        assert_eq!(found[1]["when"], 6, "later than the last one");
        assert_eq!(entries(&drizzle_without(&two, "0001_b").expect("goes")).expect("reads"), entries(&one).expect("reads"));
        let without_first = drizzle_without(&two, "0000_a").expect("goes");
        assert_eq!(entries(&without_first).expect("reads")[0]["tag"], "0001_b");
        assert_eq!(drizzle_without(&one, "gone").expect("stays"), one);
        assert!(drizzle_with("{}", "x", 1).is_err());
    }

    #[test]
    fn a_plan_of_sqitch_changes_by_one_line() {
        let plan = "%project=x\n\na 2024-01-01T00:00:00Z A <a@x>\nb [a] 2024-01-02T00:00:00Z A <a@x>";
        let more = sqitch_with(plan, "c", "what it\ndoes", 1_732_500_000);
        assert!(more.ends_with("<a@x>\nc 2024-11-25T02:00:00Z Airlock <airlock@localhost> # what it does\n"), "{more}");
        assert_eq!(sqitch_without(&more, "b"), more.replace("b [a] 2024-01-02T00:00:00Z A <a@x>\n", ""));
        assert_eq!(sqitch_without(plan, "gone"), plan);
    }
}
