//! One text through everything that reads SQL.

use std::path::Path;

use airlock::catalog::Catalog;
use airlock::compat::Undo;
use airlock::history::{Execution, Send};
use airlock::op::PgVersion;
use airlock::plan::{self, PlanOptions};
use airlock::replay;
use airlock::report::{self, CodeRollback, Format, Report, Statements, Style, Verdict};
use airlock::rules::{Checker, RuleSet, Selection};
use airlock::source::SourceFile;
use airlock::{lower, rules};
use strum::IntoEnumIterator;

/// Tables that mutated statements have a chance to be about.
const SETUP: &str = "CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL, note text, code varchar(10));
CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE);
CREATE VIEW v AS SELECT id, total FROM orders;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := 'x'; RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();";

/// Splitting, lowering and judging, then the rules. What is found is returned so that nothing is optimised away.
pub fn check(text: &str) -> rules::Checked {
    let source = SourceFile::new("fuzz.sql", text);
    let (script, _) = judge(&source, PgVersion(15));
    Checker::new(RuleSet::built_in(), &Selection { select: vec!["all".into()], ..Selection::default() }).check(&script)
}

fn judge(source: &SourceFile, pg: PgVersion) -> (replay::ReplayedScript, Catalog) {
    let mut catalog = Catalog::new(pg);
    replay::apply(&lower::lower_text(SETUP), &Execution::new(false, Send::Statement), &mut catalog);
    let statements = lower::lower(source, &[source.full_span()]);
    let mut last = 0;
    for s in &statements {
        assert!(s.span.start >= last && s.span.end >= s.span.start, "statements overlap or go backward at byte {}", s.span.start);
        assert!(source.text().get(s.span.range()).is_some(), "the span {:?} cuts a character", s.span);
        for op in &s.ops {
            assert!(source.text().get(op.span.range()).is_some(), "the span {:?} of an operation cuts a character", op.span);
        }
        last = s.span.end;
    }
    let script = replay::judge(source, statements, &Execution::new(true, Send::Statement), &mut catalog);
    (script, catalog)
}

/// All of it: the oldest and the newest version, every rule, every output format, the schema as SQL, a plan.
pub fn everything(text: &str) {
    let source = SourceFile::new("fuzz.sql", text);
    for pg in [14, 18] {
        let (script, catalog) = judge(&source, PgVersion(pg));
        let set = RuleSet::built_in();
        let selection = Selection { select: vec!["all".into()], ..Selection::default() };
        let checked = Checker::new(set, &selection).check(&script);
        for d in &checked.diagnostics {
            assert!(source.text().get(d.span.range()).is_some(), "{} points at {:?}, which cuts a character", d.rule, d.span);
            source.position(d.span.start);
            source.position(d.span.end);
        }
        let report = Report {
            files: 1,
            statements: Statements { total: script.statements.len(), ..Statements::default() },
            diagnostics: checked.diagnostics,
            suppressed: checked.suppressed,
            known: 0,
            verdict: Verdict { code_rollback: CodeRollback::Ok, schema_rollback: Undo::Lossless },
            notes: Vec::new(),
            checked: vec![Path::new("fuzz.sql").display().to_string()],
            rules: set.iter().map(|r| r.info()).collect(),
        };
        for format in Format::iter() {
            let mut out = Vec::new();
            let style = Style { color: false, unicode: pg == 18, width: 80, quiet: false };
            report::write(format, &report, style, &mut out).expect("memory takes it");
            String::from_utf8(out).expect("reports are UTF-8");
        }
        catalog.to_sql();
        catalog.dump();
        let context =
            plan::Context { migration: "fuzz".into(), source: "fuzz.sql".into(), source_sha256: String::new(), framework: "plain".into() };
        plan::plan(&script, &[], &PlanOptions::default(), &context);
    }
}
