//! Type names, made canonical: `int4` → `integer`, `timestamptz(3)` → `timestamp with time zone` with modifier `3`.

use crate::op::{Name, QName, TypeName};
use crate::sql::cursor::{Cursor, Read};
use crate::sql::token::TokenKind;

/// A type as it stands in a column definition, a cast or a function's signature.
pub fn type_name(c: &mut Cursor<'_>) -> Read<TypeName> {
    let start = c.pos();
    let setof = c.eat("SETOF");
    let mut ty = TypeName {
        name: QName::bare("", c.here()),
        modifiers: Vec::new(),
        array_dims: 0,
        setof,
        percent_type: false,
        span: c.here(),
        text: String::new(),
    };
    let name_start = c.pos();
    match builtin(c)? {
        Some((name, modifiers)) => {
            ty.name = QName::bare(name, c.span_from(name_start));
            ty.modifiers = modifiers;
        }
        None => other(c, &mut ty)?,
    }
    dimensions(c, &mut ty)?;
    ty.span = c.span_from(start);
    ty.text = c.text_from(start);
    Ok(ty)
}

/// `year`, `day to second(3)`, … of an interval.
pub fn interval_fields(c: &mut Cursor<'_>) -> Read<Vec<String>> {
    const FIELDS: [&str; 6] = ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"];
    let Some(first) = c.eat_any(&FIELDS) else { return Ok(Vec::new()) };
    let mut fields = first.to_ascii_lowercase();
    if c.is("TO") && FIELDS.iter().any(|f| c.is_at(1, f)) {
        c.next();
        let last = c.eat_any(&FIELDS).unwrap_or("SECOND");
        fields.push_str(" to ");
        fields.push_str(&last.to_ascii_lowercase());
    }
    let mut out = vec![fields];
    if c.is_punct(b'(') {
        out.extend(modifiers(c)?);
    }
    Ok(out)
}

/// The canonical name of a built-in type's name in `pg_type`.
pub fn canonical(internal: &str) -> Option<&'static str> {
    Some(match internal {
        "int2" => "smallint",
        "int4" => "integer",
        "int8" => "bigint",
        "float4" => "real",
        "float8" => "double precision",
        "bool" => "boolean",
        "varchar" => "character varying",
        "bpchar" => "character",
        "timestamptz" => "timestamp with time zone",
        "timestamp" => "timestamp without time zone",
        "timetz" => "time with time zone",
        "time" => "time without time zone",
        "varbit" => "bit varying",
        "serial4" => "serial",
        "serial8" => "bigserial",
        "serial2" => "smallserial",
        _ => return None,
    })
}

/// Types whose names are words of the grammar.
fn builtin(c: &mut Cursor<'_>) -> Read<Option<(&'static str, Vec<String>)>> {
    // A name that is qualified, or followed by %TYPE, is an ordinary one whatever it looks like.
    if c.peek().is_none_or(|t| t.kind != TokenKind::Word) || c.is_punct_at(1, b'.') || c.is_op_at(1, "%") {
        return Ok(None);
    }
    let simple = [
        ("INT", "integer"),
        ("INTEGER", "integer"),
        ("SMALLINT", "smallint"),
        ("BIGINT", "bigint"),
        ("REAL", "real"),
        ("BOOLEAN", "boolean"),
        ("DOUBLE PRECISION", "double precision"),
    ];
    for (words, name) in simple {
        if c.eat(words) {
            return Ok(Some((name, Vec::new())));
        }
    }
    if c.eat("FLOAT") {
        let m = optional_modifiers(c)?;
        let single = m.first().and_then(|p| p.parse::<u32>().ok()).is_some_and(|p| p <= 24);
        return Ok(Some((if single { "real" } else { "double precision" }, Vec::new())));
    }
    if c.eat("NUMERIC") || c.eat("DECIMAL") || c.eat("DEC") {
        return Ok(Some(("numeric", optional_modifiers(c)?)));
    }
    if c.eat("VARCHAR")
        || c.eat("CHARACTER VARYING")
        || c.eat("CHAR VARYING")
        || c.eat("NATIONAL CHARACTER VARYING")
        || c.eat("NATIONAL CHAR VARYING")
        || c.eat("NCHAR VARYING")
    {
        return Ok(Some(("character varying", optional_modifiers(c)?)));
    }
    if c.eat("CHARACTER") || c.eat("CHAR") || c.eat("NATIONAL CHARACTER") || c.eat("NATIONAL CHAR") || c.eat("NCHAR") {
        let m = optional_modifiers(c)?;
        return Ok(Some(("character", if m.is_empty() { vec!["1".to_owned()] } else { m })));
    }
    if c.eat("BIT VARYING") {
        return Ok(Some(("bit varying", optional_modifiers(c)?)));
    }
    if c.eat("BIT") {
        let m = optional_modifiers(c)?;
        return Ok(Some(("bit", if m.is_empty() { vec!["1".to_owned()] } else { m })));
    }
    let timestamp = c.is("TIMESTAMP");
    if timestamp || c.is("TIME") {
        c.next();
        let m = optional_modifiers(c)?;
        let zoned = c.eat("WITH TIME ZONE");
        if !zoned {
            c.eat("WITHOUT TIME ZONE");
        }
        return Ok(Some((
            match (timestamp, zoned) {
                (true, true) => "timestamp with time zone",
                (true, false) => "timestamp without time zone",
                (false, true) => "time with time zone",
                (false, false) => "time without time zone",
            },
            m,
        )));
    }
    if c.eat("INTERVAL") {
        let m = if c.is_punct(b'(') { modifiers(c)? } else { interval_fields(c)? };
        return Ok(Some(("interval", m)));
    }
    Ok(None)
}

/// A name from the catalog: built-in under its internal name, or anybody's own.
fn other(c: &mut Cursor<'_>, ty: &mut TypeName) -> Read<()> {
    let start = c.pos();
    let mut parts = c.dotted()?;
    if c.is_op("%") && (c.is_at(1, "TYPE") || c.is_at(1, "ROWTYPE")) {
        ty.percent_type = c.is_at(1, "TYPE");
        c.next();
        c.next();
    } else if c.is_op("%") && c.peek_nth(1).is_none() {
        return c.fail("TYPE");
    }
    let one_char = parts.len() == 1 && c.text_from(start) == "\"char\"";
    let (name, schema) = match (parts.pop(), parts.pop()) {
        (Some(name), schema) => (name, schema),
        (None, _) => return c.fail("a type"),
    };
    let ours = schema.as_ref().is_none_or(|s| s.value == "pg_catalog");
    ty.name = if ty.percent_type {
        QName { schema, name }
    } else if one_char || (ours && schema.is_some() && name.value == "char") {
        QName { schema: None, name: Name::new("\"char\"", name.span) }
    } else if let (true, Some(value)) = (ours, canonical(&name.value)) {
        QName { schema: None, name: Name::new(value, name.span) }
    } else if schema.as_ref().is_some_and(|s| s.value == "pg_catalog") {
        QName { schema: None, name }
    } else {
        QName { schema, name }
    };
    if c.is_punct(b'(') && !ty.percent_type {
        ty.modifiers = modifiers(c)?;
    }
    // `timestamptz(3)` is done here; `pg_catalog.bit` without a length means 1, too.
    if ty.name.schema.is_none() && ty.name.as_str() == "interval" && ty.modifiers.is_empty() {
        ty.modifiers = interval_fields(c)?;
    }
    Ok(())
}

fn optional_modifiers(c: &mut Cursor<'_>) -> Read<Vec<String>> {
    if c.is_punct(b'(') { modifiers(c) } else { Ok(Vec::new()) }
}

/// `(10, 2)`, `(Point, 4326)`: each as written.
fn modifiers(c: &mut Cursor<'_>) -> Read<Vec<String>> {
    c.parens(|c| {
        c.list(|c| {
            let start = c.pos();
            if c.skip_until(|c| c.is_punct(b',')).is_empty() {
                return c.fail("a type modifier");
            }
            Ok(c.text_from(start))
        })
    })
}

fn dimensions(c: &mut Cursor<'_>, ty: &mut TypeName) -> Read<()> {
    if c.is("ARRAY") {
        c.next();
        ty.array_dims = 1;
        if c.is_punct(b'[') {
            c.skip_parens();
        }
        return Ok(());
    }
    while c.is_punct(b'[') {
        c.next();
        if c.peek().is_some_and(|t| t.kind == TokenKind::Number) {
            c.next();
        }
        c.expect_punct(b']')?;
        ty.array_dims = ty.array_dims.saturating_add(1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::token::{SqlText, tokenize};

    #[track_caller]
    fn check(sql: &str, name: &str, modifiers: &[&str], dims: u8) {
        let text = SqlText::new(sql, 0);
        let tokens = tokenize(text);
        let mut c = Cursor::new(text, &tokens);
        let ty = type_name(&mut c).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        assert!(c.at_end(), "{sql}");
        assert_eq!(
            (ty.name.to_string().as_str(), ty.modifiers.as_slice(), ty.array_dims),
            (name, modifiers.iter().map(|m| m.to_string()).collect::<Vec<_>>().as_slice(), dims),
            "{sql}"
        );
        assert_eq!(ty.text, sql);
    }

    #[test]
    fn names_become_canonical() {
        check("int", "integer", &[], 0);
        check("INT4", "integer", &[], 0);
        check("pg_catalog.int8", "bigint", &[], 0);
        check("float(24)", "real", &[], 0);
        check("float(25)", "double precision", &[], 0);
        check("decimal(10, 2)", "numeric", &["10", "2"], 0);
        check("char", "character", &["1"], 0);
        check("char(3)", "character", &["3"], 0);
        check("bpchar", "character", &[], 0);
        check("\"char\"", "\"char\"", &[], 0);
        check("pg_catalog.\"char\"", "\"char\"", &[], 0);
        check("varchar", "character varying", &[], 0);
        check("character varying(20)[]", "character varying", &["20"], 1);
        check("\"varchar\"(20)", "character varying", &["20"], 0);
        check("timestamp(3) with time zone", "timestamp with time zone", &["3"], 0);
        check("timestamptz(3)", "timestamp with time zone", &["3"], 0);
        check("timestamp", "timestamp without time zone", &[], 0);
        check("time with time zone", "time with time zone", &[], 0);
        check("interval day to second(3)", "interval", &["day to second", "3"], 0);
        check("interval(2)", "interval", &["2"], 0);
        check("bit", "bit", &["1"], 0);
        check("bit varying(5)", "bit varying", &["5"], 0);
        check("text[][3]", "text", &[], 2);
        check("int ARRAY[4]", "integer", &[], 1);
        check("geometry(Point,4326)", "geometry", &["Point", "4326"], 0);
        check("app.\"Mood\"", "app.Mood", &[], 0);
        check("bigserial", "bigserial", &[], 0);
        check("serial8", "bigserial", &[], 0);
    }

    #[test]
    fn percent_type_keeps_table_and_column() {
        let text = SqlText::new("public.users.name%TYPE", 0);
        let tokens = tokenize(text);
        let ty = type_name(&mut Cursor::new(text, &tokens)).expect("reads");
        assert!(ty.percent_type);
        assert_eq!(ty.name.to_string(), "users.name");
    }
}
