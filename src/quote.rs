//! The one place that writes identifiers and literals into SQL.

/// An identifier, always quoted. NUL cannot stand in an identifier; Postgres would end the query there, so it is dropped.
pub fn ident(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    out.push('"');
    for c in name.chars().filter(|&c| c != '\0') {
        if c == '"' {
            out.push('"');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// `"schema"."name"`.
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", ident(schema), ident(name))
}

/// A comma-separated list of identifiers.
pub fn idents<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    names.into_iter().map(|n| ident(n.as_ref())).collect::<Vec<_>>().join(", ")
}

/// A string literal that means the same whatever `standard_conforming_strings` says.
pub fn literal(value: &str) -> String {
    let escape = value.contains('\\');
    let mut out = String::with_capacity(value.len() + 3);
    if escape {
        out.push('E');
    }
    out.push('\'');
    for c in value.chars().filter(|&c| c != '\0') {
        if c == '\'' || c == '\\' {
            out.push(c);
        }
        out.push(c);
    }
    out.push('\'');
    out
}

/// A dollar-quoted body whose tag does not occur in it.
pub fn dollar(body: &str) -> String {
    let mut tag = String::from("$airlock$");
    let mut n = 0;
    while body.contains(&tag) {
        n += 1;
        tag = format!("$airlock{n}$");
    }
    format!("{tag}{body}{tag}")
}

/// Identifiers longer than this are cut by the server (NAMEDATALEN - 1 bytes).
pub const MAX_IDENT_BYTES: usize = 63;

/// A name of at most 63 bytes that starts with `prefix`, keeps `suffix`, and differs for different inputs when it has to be cut.
pub fn generated_name(prefix: &str, parts: &[&str]) -> String {
    let full = format!("{prefix}{}", parts.join("_"));
    if full.len() <= MAX_IDENT_BYTES {
        return full;
    }
    use sha2::{Digest, Sha256};
    let hash: String = Sha256::digest(parts.join("\0").as_bytes()).iter().take(4).map(|b| format!("{b:02x}")).collect();
    let mut end = MAX_IDENT_BYTES - hash.len() - 1;
    while !full.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{hash}", &full[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(ident(r#"a"b"#), r#""a""b""#);
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\b"), r"E'a\\b'");
        assert_eq!(dollar("$airlock$"), "$airlock1$$airlock$$airlock1$");
    }

    #[test]
    fn long_names_are_cut_and_stay_unique() {
        let a = generated_name("zzzz_airlock_", &[&"x".repeat(60), "a"]);
        let b = generated_name("zzzz_airlock_", &[&"x".repeat(60), "b"]);
        assert!(a.len() <= MAX_IDENT_BYTES && b.len() <= MAX_IDENT_BYTES && a != b);
    }
}
