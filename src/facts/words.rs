//! Texts of expressions, compared: people, dumps and servers write the same one in different words.

/// An expression without what a server adds or leaves out when it writes one down: brackets, casts of constants, the schema `public`, other words for the
/// same.
pub fn plain(text: &str) -> String {
    let mut out = String::new();
    // Every second piece stands in quotes.
    for (i, piece) in text.split('\'').enumerate() {
        if i % 2 == 1 {
            out.push_str(&format!("'{piece}'"));
            continue;
        }
        let words = piece.to_lowercase();
        let mut words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        for (longer, shorter) in [
            (" notnull", " is not null"),
            (" isnull", " is null"),
            ("current_timestamp", "now"),
            ("transaction_timestamp", "now"),
            ("uuid_generate_v4", "gen_random_uuid"),
            ("public.", ""),
            ("pg_catalog.", ""),
        ] {
            words = words.replace(longer, shorter);
        }
        words.retain(|c| !matches!(c, '(' | ')' | '"'));
        out.push_str(&words);
    }
    without_casts(&out).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn without_casts(text: &str) -> String {
    let mut parts = text.split("::");
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let name = part.trim_start_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.'));
        let more = ["", " varying", " precision", " without time zone", " with time zone"];
        let rest = more.iter().filter_map(|m| name.strip_prefix(m)).min_by_key(|r| r.len()).unwrap_or(name);
        out.push_str(rest.trim_start_matches("[]"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_a_server_writes_otherwise_is_the_same() {
        for (a, b) in [
            ("DEFAULT ''", "DEFAULT ''::text"),
            ("CHECK (a > now())", "CHECK ((a > CURRENT_TIMESTAMP))"),
            ("CHECK (NOT (a NOTNULL AND b NOTNULL))", "CHECK ((NOT ((a IS NOT NULL) AND (b IS NOT NULL))))"),
            ("'1970-01-01'", "'1970-01-01'::timestamp without time zone"),
            ("uuid_generate_v4()", "gen_random_uuid()"),
            ("(s = ANY (ARRAY['a'::public.mood]))", "s = any (array['a'::mood])"),
        ] {
            assert_eq!(plain(a), plain(b));
        }
        for (a, b) in [("DEFAULT 'A'", "DEFAULT 'a'"), ("CHECK (a > 1)", "CHECK (a > 2)"), ("a IS NULL", "a IS NOT NULL")] {
            assert_ne!(plain(a), plain(b));
        }
    }
}
