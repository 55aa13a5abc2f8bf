//! `--map 'orders.total: up="…", down="…"'`.

use super::Answer;

/// One `--map`: a subject and its answers.
pub fn parse_map(text: &str) -> Result<Vec<Answer>, String> {
    let (subject, rest) = text.split_once(':').ok_or_else(|| format!("`{text}`: expected `table.column: value=\"…\"`"))?;
    let subject = subject.trim();
    if subject.is_empty() || !subject.contains('.') {
        return Err(format!("`{text}`: the part before `:` must name a column as `table.column`"));
    }
    let wrong = |e: &str| format!("`{text}`: {e}; expected `value=\"…\"`, `up=\"…\"` or `down=\"…\"`");
    let table: toml::Table = toml::from_str(&format!("x = {{ {} }}", rest.trim())).map_err(|e| wrong(e.message()))?;
    let answers = table.get("x").and_then(toml::Value::as_table).ok_or_else(|| wrong("nothing is said"))?;
    answers
        .iter()
        .map(|(key, value)| match (key.as_str(), value) {
            ("value" | "up" | "down", toml::Value::String(v)) if !v.trim().is_empty() => {
                Ok(Answer { subject: subject.to_string(), key: key.clone(), value: v.clone(), from: "told".into() })
            }
            ("value" | "up" | "down", _) => Err(wrong("an SQL expression in quotes is expected")),
            (other, _) => Err(wrong(&format!("`{other}` is not known"))),
        })
        .collect()
}

/// One `--rename`: `table.old=new`, `old=new` of tables; nothing behind the `=` says that it is none.
pub fn parse_rename(text: &str) -> Result<Answer, String> {
    let (subject, value) = text.split_once('=').ok_or_else(|| format!("`{text}`: expected `table.old=new`, `old=new` or `table.old=`"))?;
    let (subject, value) = (subject.trim(), value.trim());
    if subject.is_empty() {
        return Err(format!("`{text}`: the part before `=` must name a column as `table.column`, or a table"));
    }
    Ok(Answer { subject: subject.into(), key: "rename".into(), value: value.into(), from: "told".into() })
}

/// The answer about a column, whether or not its schema was named.
pub fn find<'a>(answers: &'a [Answer], schema: &str, table: &str, column: &str, key: &str) -> Option<&'a str> {
    let names = [format!("{table}.{column}"), format!("{schema}.{table}.{column}")];
    answers.iter().find(|a| a.key == key && names.contains(&a.subject)).map(|a| a.value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renames_are_meant_or_not() {
        let a = parse_rename("orders.note = remark").expect("reads");
        assert_eq!((a.subject.as_str(), a.value.as_str()), ("orders.note", "remark"));
        assert_eq!(parse_rename("orders.note=").expect("reads").value, "");
        assert!(parse_rename("orders").is_err() && parse_rename("=b").is_err());
    }

    #[test]
    fn answers_name_a_column_and_an_expression() {
        let a = parse_map(r#"orders.total: up="total * 100", down="total / 100""#).expect("reads");
        assert_eq!(find(&a, "public", "orders", "total", "down"), Some("total / 100"));
        assert_eq!(find(&a, "public", "orders", "other", "down"), None);
        for wrong in ["orders", "orders: value='x'", "orders.a: vale='x'", "orders.a: value=1", "orders.a: value="] {
            assert!(parse_map(wrong).is_err(), "{wrong}");
        }
    }
}
