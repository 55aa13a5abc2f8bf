//! What each part of a check costs, in MB/s of one thread's processor time, so that a busy machine does not count.

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use airlock::catalog::Catalog;
use airlock::history::{Execution, Send};
use airlock::op::{PgVersion, Statement};
use airlock::plan::{self, Context, Outcome, PlanOptions};
use airlock::replay::ReplayedScript;
use airlock::rules::{Checker, RuleSet, Selection};
use airlock::source::SourceFile;
use airlock::sql::split::split;
use airlock::sql::token::{SqlText, tokenize};
use airlock::{lower, replay};
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Tokenizer;

/// Time that this thread spent on a processor; the clock where the system does not tell.
struct ThreadTime;

impl ThreadTime {
    fn now() -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let spent = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
        let nanos = spent.and_then(|s| s.split(' ').next()?.parse().ok());
        nanos.map_or_else(|| START.elapsed(), Duration::from_nanos)
    }
}

impl Measurement for ThreadTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        Self::now()
    }

    fn end(&self, start: Duration) -> Duration {
        Self::now().saturating_sub(start)
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// A history of many tables, each made, indexed, referred to and changed.
fn history(tables: usize) -> String {
    (0..tables)
        .map(|i| {
            format!(
                "CREATE TABLE t{i} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(50) NOT NULL, total numeric(10, 2) DEFAULT 0, made timestamptz DEFAULT now(), parent bigint REFERENCES t{} (id), CHECK (total >= 0));\n\
                 CREATE INDEX t{i}_name ON t{i} (lower(name)) WHERE total > 0;\n\
                 ALTER TABLE t{i} ADD COLUMN note text, ALTER COLUMN name TYPE varchar(100);\n",
                i / 2
            )
        })
        .collect()
}

/// The corpus of real migrations where it lies beside the checkout, file by file; else one made history.
fn files() -> (&'static str, Vec<SourceFile>) {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let mut out: Vec<SourceFile> = Vec::new();
    for file in walkdir::WalkDir::new(root).sort_by_file_name().into_iter().flatten() {
        if file.path().extension().is_some_and(|e| e == "sql")
            && let Ok(text) = std::fs::read_to_string(file.path())
        {
            out.push(SourceFile::new(file.path(), text));
        }
    }
    if out.is_empty() { ("made", vec![SourceFile::new("bench.sql", history(200))]) } else { ("corpus", out) }
}

/// Each step with what it needs before it, on one thread; and another parser beside it for comparison.
fn inside(c: &mut Criterion<ThreadTime>) {
    let (name, files) = files();
    let execution = Execution::new(true, Send::Statement);
    let lowered: Vec<Vec<Statement>> = files.iter().map(|f| lower::lower(f, &[f.full_span()])).collect();
    let judged = |f: &SourceFile, s: &[Statement]| replay::judge(f, s.to_vec(), &execution, &mut Catalog::new(PgVersion(15)));
    let mut group = c.benchmark_group(name);
    group.sample_size(10);
    group.throughput(Throughput::Bytes(files.iter().map(|f| f.text().len() as u64).sum()));
    group.bench_function("tokens", |b| {
        b.iter(|| files.iter().map(|f| tokenize(SqlText::of(black_box(f))).len()).sum::<usize>());
    });
    group.bench_function("tokens of sqlparser", |b| {
        let dialect = PostgreSqlDialect {};
        b.iter(|| {
            files.iter().filter_map(|f| Tokenizer::new(&dialect, f.text()).tokenize_with_location().ok()).map(|t| t.len()).sum::<usize>()
        });
    });
    group.bench_function("split", |b| b.iter(|| files.iter().map(|f| split(black_box(f), &[f.full_span()]).len()).sum::<usize>()));
    group.bench_function("split and lower", |b| {
        b.iter(|| files.iter().map(|f| lower::lower(black_box(f), &[f.full_span()]).len()).sum::<usize>());
    });
    group.bench_function("split, then parse with sqlparser", |b| {
        let dialect = PostgreSqlDialect {};
        b.iter(|| {
            let read = |f: &SourceFile| {
                split(f, &[f.full_span()])
                    .iter()
                    .filter(|s| {
                        let tokens = Tokenizer::new(&dialect, f.slice(s.span())).tokenize_with_location();
                        tokens.is_ok_and(|t| Parser::new(&dialect).with_tokens_with_locations(t).parse_statement().is_ok())
                    })
                    .count()
            };
            files.iter().map(read).sum::<usize>()
        });
    });
    group.bench_function("apply alone", |b| {
        b.iter(|| {
            let mut all = true;
            for s in &lowered {
                all &= replay::apply(black_box(s), &execution, &mut Catalog::new(PgVersion(15)));
            }
            all
        });
    });
    group.bench_function("judge alone", |b| {
        b.iter(|| files.iter().zip(&lowered).map(|(f, s)| judged(f, black_box(s)).statements.len()).sum::<usize>());
    });
    group.bench_function("facts and rules alone", |b| {
        let scripts: Vec<ReplayedScript> = files.iter().zip(&lowered).map(|(f, s)| judged(f, s)).collect();
        let selection = Selection { select: vec!["all".into()], ..Selection::default() };
        let checker = Checker::new(RuleSet::built_in(), &selection);
        b.iter(|| scripts.iter().map(|s| checker.check(black_box(s)).diagnostics.len()).sum::<usize>());
    });
    group.finish();
}

/// A migration of a hundred operations, ten of each kind, over the tables of `history`.
fn hundred(tables: usize) -> String {
    (0..10)
        .map(|i| {
            let t = |n: usize| format!("t{}", (i * 47 + n * 5) % tables);
            format!(
                "ALTER TABLE {} ALTER COLUMN made SET NOT NULL;\nALTER TABLE {} RENAME COLUMN name TO title;\n\
                 ALTER TABLE {} ADD COLUMN kind text NOT NULL DEFAULT 'a';\nALTER TABLE {} DROP COLUMN note;\n\
                 ALTER TABLE {} ALTER COLUMN note TYPE varchar(500);\nALTER TABLE {} ADD CONSTRAINT k{i} CHECK (total < 1000000);\n\
                 CREATE INDEX x{i} ON {} (made);\nALTER TABLE {} ADD COLUMN label text;\nALTER TABLE {} ADD UNIQUE (name);\n\
                 CREATE TABLE new{i} (id bigint PRIMARY KEY, t bigint REFERENCES {} (id));\n",
                t(0),
                t(1),
                t(2),
                t(3),
                t(4),
                t(5),
                t(6),
                t(7),
                t(8),
                t(9)
            )
        })
        .collect()
}

/// A plan of a hundred operations over a schema of five hundred tables: reading the file, judging it, and planning.
fn planning(c: &mut Criterion<ThreadTime>) {
    let execution = Execution::new(true, Send::Statement);
    let mut before = Catalog::new(PgVersion(15));
    replay::apply(&lower::lower_text(&history(500)), &execution, &mut before);
    let file = SourceFile::new("2.sql", hundred(500));
    let context = Context { migration: "2".into(), source: "2.sql".into(), source_sha256: String::new(), framework: "plain".into() };
    let planned = || {
        let statements = lower::lower(black_box(&file), &[file.full_span()]);
        let script = replay::judge(&file, statements, &execution, &mut before.clone());
        plan::plan(&script, &[], &PlanOptions::default(), &context)
    };
    match planned() {
        Outcome::Planned(_) => {}
        other => panic!("{other:?}"),
    }
    let mut group = c.benchmark_group("plan");
    group.sample_size(10);
    group.bench_function("100 operations, 500 tables", |b| b.iter(planned));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ThreadTime);
    targets = inside, planning
}
criterion_main!(benches);
