//! What the program prints for machines, held against the schemas in `docs/schema`.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn schema(name: &str) -> Value {
    let text = std::fs::read_to_string(root().join(format!("docs/schema/{name}.schema.json"))).expect("a schema");
    serde_json::from_str(&text).expect("JSON")
}

/// Whether a value follows a schema, for the words that our schemas use; `scripts/lint-reports` asks a whole validator. `strict`: a key that the schema
/// does not describe is a mistake. Consumers must bear new keys, we must describe them.
struct Checker<'s> {
    whole: &'s Value,
    strict: bool,
}

impl Checker<'_> {
    fn wrong(&self, at: &str, schema: &Value, v: &Value) -> Vec<String> {
        let mut out = Vec::new();
        for (word, says) in schema.as_object().unwrap_or_else(|| panic!("{at}: {schema} is no schema")) {
            let list = || says.as_array().expect("a list");
            let good = match word.as_str() {
                "$schema" | "$id" | "$defs" | "title" | "description" | "default" | "format" => true,
                "$ref" => {
                    let to = says.as_str().and_then(|r| r.strip_prefix('#')).and_then(|r| self.whole.pointer(r));
                    out.extend(self.wrong(at, to.unwrap_or_else(|| panic!("{says} leads nowhere")), v));
                    true
                }
                "const" => v == says,
                "enum" => list().contains(v),
                "type" => says.as_array().map_or_else(|| is(v, says), |l| l.iter().any(|t| is(v, t))),
                "minimum" => v.as_f64() >= says.as_f64() || !v.is_number(),
                "maximum" => v.as_f64() <= says.as_f64() || !v.is_number(),
                "minItems" => v.as_array().is_none_or(|a| a.len() as u64 >= says.as_u64().expect("a number")),
                "maxItems" => v.as_array().is_none_or(|a| a.len() as u64 <= says.as_u64().expect("a number")),
                "pattern" => v.as_str().is_none_or(|t| regex::Regex::new(says.as_str().expect("text")).expect("a pattern").is_match(t)),
                "required" => v.as_object().is_none_or(|o| list().iter().all(|k| o.contains_key(k.as_str().expect("a key")))),
                "oneOf" => list().iter().filter(|s| self.wrong(at, s, v).is_empty()).count() == 1,
                "anyOf" => list().iter().any(|s| self.wrong(at, s, v).is_empty()),
                "not" => !self.wrong(at, says, v).is_empty(),
                "items" => {
                    let each = v.as_array().into_iter().flatten().enumerate();
                    out.extend(each.flat_map(|(i, x)| self.wrong(&format!("{at}/{i}"), says, x)));
                    true
                }
                "properties" => {
                    for (k, x) in v.as_object().into_iter().flatten() {
                        match says.get(k) {
                            Some(s) => out.extend(self.wrong(&format!("{at}/{k}"), s, x)),
                            None if self.strict && schema.get("additionalProperties").is_none() => {
                                out.push(format!("{at}/{k} is not described"))
                            }
                            None => {}
                        }
                    }
                    true
                }
                "additionalProperties" => {
                    let named = |k: &str| schema["properties"].get(k).is_some();
                    for (k, x) in v.as_object().into_iter().flatten().filter(|(k, _)| !named(k)) {
                        match says {
                            Value::Bool(may) if *may => {}
                            Value::Bool(_) => out.push(format!("{at}/{k} is not allowed")),
                            s => out.extend(self.wrong(&format!("{at}/{k}"), s, x)),
                        }
                    }
                    true
                }
                other => panic!("{at}: the test does not know `{other}`"),
            };
            if !good {
                out.push(format!("{at}: {v} is not {word}: {says}"));
            }
        }
        out
    }
}

fn is(v: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap_or_default() {
        "null" => v.is_null(),
        "boolean" => v.is_boolean(),
        "integer" => v.is_i64() || v.is_u64(),
        "number" => v.is_number(),
        "string" => v.is_string(),
        "array" => v.is_array(),
        "object" => v.is_object(),
        other => panic!("`{other}` is no type"),
    }
}

fn wrong(schema: &Value, strict: bool, value: &Value) -> Vec<String> {
    Checker { whole: schema, strict }.wrong("", schema, value)
}

fn holds(name: &str, strict: bool, value: &Value) {
    let wrong = wrong(&schema(name), strict, value);
    assert!(wrong.is_empty(), "{name}: {}\n{value:#}", wrong.join("\n"));
}

fn run(args: &[&str]) -> String {
    let mut c = Command::new(env!("CARGO_BIN_EXE_airlock"));
    for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("AIRLOCK_") && n != "AIRLOCK_TEST_PG") {
        c.env_remove(name);
    }
    let o = c.current_dir(root()).args(args).output().expect("the program runs");
    String::from_utf8(o.stdout).unwrap_or_default()
}

fn json_of(args: &[&str]) -> Value {
    serde_json::from_str(&run(args)).unwrap_or_else(|e| panic!("{args:?}: {e}"))
}

#[test]
fn reports_of_check() {
    let report = json_of(&["check", "testdata/shop/migrations", "--output-format", "json"]);
    assert!(report["diagnostics"].as_array().is_some_and(|d| d.len() > 2), "{report:#}");
    holds("check", true, &report);
    // With fixes, and with places beside the first.
    let all = json_of(&["check", "testdata/situations/unsafe", "--isolated", "--select", "all", "--output-format", "json"]);
    let some = |key: &str, empty: &Value| all["diagnostics"].as_array().is_some_and(|l| l.iter().any(|d| &d[key] != empty));
    assert!(some("fix", &Value::Null), "a fix is among them");
    holds("check", true, &all);
    let lines = run(&["check", "testdata/shop/migrations", "--output-format", "json-lines"]);
    for line in lines.lines() {
        holds("check-line", true, &serde_json::from_str(line).expect("one object a line"));
    }
    // A schema that takes everything would hold anything.
    let mut wrong = report.clone();
    wrong["diagnostics"][0]["line"] = json!(0);
    assert!(!self::wrong(&schema("check"), false, &wrong).is_empty(), "lines count from 1");
    let mut more = report;
    more["new_key"] = json!(1);
    assert!(self::wrong(&schema("check"), false, &more).is_empty(), "consumers bear new keys");
    assert!(!self::wrong(&schema("check"), true, &more).is_empty(), "we describe them");
}

#[test]
fn histories_and_plans() {
    let history = json_of(&["history", "testdata/shop/migrations", "--isolated", "--output-format", "json"]);
    holds("history", true, &history);
    let dir = tempfile::tempdir().expect("a folder");
    let into = dir.path().join("plan").display().to_string();
    for name in ["001_create", "002_shipping_method", "004_rename_note", "005_drop_remark"] {
        let file = format!("testdata/shop/migrations/{name}.sql");
        holds("plan", false, &json_of(&["plan", &file, "--into", &into, "--output-format", "json"]));
    }
    let text = std::fs::read_to_string(Path::new(&into).join("plan.toml")).expect("a plan");
    let plan: toml::Value = toml::from_str(&text).expect("TOML");
    holds("plan-file", false, &serde_json::to_value(plan).expect("JSON"));
    std::fs::write(dir.path().join("1_a.sql"), "CREATE TABLE a (b int, c int);\n").expect("written");
    std::fs::write(dir.path().join("2_b.sql"), "ALTER TABLE a DROP COLUMN b;\nALTER TABLE a ADD COLUMN d int;\n").expect("written");
    let asked = dir.path().join("2_b.sql").display().to_string();
    let other = dir.path().join("other").display().to_string();
    let v = json_of(&["plan", &asked, "--isolated", "--into", &other, "--output-format", "json"]);
    assert!(v["plan"].is_null() && (v["questions"].is_array() || v["refused"].is_array()), "{v:#}");
    holds("plan", false, &v);
}

#[test]
fn the_state_of_plans() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::create_dir(dir.path().join("m")).expect("a folder");
    std::fs::write(dir.path().join("m/1_a.sql"), "CREATE TABLE a (b int, c int);\n").expect("written");
    std::fs::write(dir.path().join("m/2_b.sql"), "ALTER TABLE a RENAME COLUMN b TO d;\n").expect("written");
    let (plans, plan) = (path("plans"), path("plans/b"));
    let status = || json_of(&["status", &plans, "--output-format", "json"]);
    std::fs::create_dir(dir.path().join("plans")).expect("a folder");
    holds("status", true, &status());
    run(&["plan", &path("m/2_b.sql"), "--isolated", "--into", &plan]);
    let mut states = Vec::new();
    for next in [&["advance"][..], &["advance"], &["advance", "--to", "contract-hard"], &["abandon"]] {
        let v = status();
        holds("status", true, &v);
        states.push(v["plans"][0]["state"].as_str().expect("a state").to_string());
        run(&[&next[..1], &[plan.as_str()], &next[1..]].concat());
    }
    let end = status();
    holds("status", true, &end);
    assert_eq!((states[0].as_str(), end["plans"][0]["state"].as_str()), ("planned", Some("abandoned")), "{states:?} {end:#}");
    assert!(states.iter().any(|s| s.starts_with("contract-hard") || s == "expand" || s == "migrate"), "{states:?}");
    let mut wrong = end;
    wrong["plans"][0]["state"] = json!("somewhere");
    assert!(!self::wrong(&schema("status"), false, &wrong).is_empty());
}

#[test]
fn statistics_of_a_database() {
    use airlock::stats::{IndexStats, RelationStats, Stats};
    let index = IndexStats { name: "i".into(), bytes: 1, scans: 2 };
    let relation = RelationStats {
        schema: "public".into(),
        name: "orders".into(),
        kind: "table".into(),
        parents: vec!["public.all_orders".into()],
        indexes: vec![index],
        ..RelationStats::default()
    };
    let full = Stats { schema_version: 1, window_seconds: Some(1.5), relations: vec![relation], ..Stats::default() };
    for stats in [full, Stats { schema_version: 1, ..Stats::default() }] {
        holds("stats", true, &serde_json::from_str(&stats.to_json()).expect("JSON"));
    }
}

#[test]
fn live_a_proof() {
    let v = json_of(&["verify", "testdata/shop/migrations/005_drop_remark.sql", "--output-format", "json"]);
    assert_eq!(v["verdict"], "proved", "{v:#}");
    holds("proof", false, &v);
}

/// An editor that follows the schema refuses what the program refuses.
#[test]
fn the_schema_of_the_configuration_says_what_the_program_takes() {
    let schema = json_of(&["schema-json"]);
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("1.sql"), "SELECT 1;\n").expect("written");
    let (file, sql) = (dir.path().join("airlock.toml"), dir.path().join("1.sql"));
    for text in [
        "",
        "framework = 'goose'\npg-version = 16\n[settings]\nlock_timeout = '2s'\n",
        "[rules]\nselect = ['all']\n[rules.severity]\ndrop-column = 'warning'\n",
        "[[overrides]]\npaths = ['a/**']\n[overrides.severity]\ndrop-column = 'error'\n",
        "[suppressions]\nrequire-reason = true\ncompat = ['squawk', 'atlas']\n[shadow]\nurl = 'x'\n[plan]\nbatch-size = 5\n",
        "[statistics]\nsmall-rows = 5\n[workload]\ncomplete = true\nrole = 'app'\n",
        "frame = 'goose'\n",
        "framework = 'gose'\n",
        "pg-version = 13\n",
        "[rules.severity]\ndrop-column = 'loud'\n",
        "[suppressions]\ncompat = ['airlock']\n",
        "[[overrides]]\npath = ['a']\n",
        "[plan]\nbatch-size = -1\n",
    ] {
        std::fs::write(&file, text).expect("written");
        let value: toml::Value = toml::from_str(text).expect("TOML");
        let wrong = wrong(&schema, false, &serde_json::to_value(value).expect("JSON"));
        let o = Command::new(env!("CARGO_BIN_EXE_airlock")).arg("check").arg(&sql).output().expect("the program runs");
        assert_eq!(wrong.is_empty(), o.status.success(), "{text}: {wrong:?} {}", String::from_utf8_lossy(&o.stderr));
    }
}
