//! What each part of a check costs, on one generated history: tokens, lowering, replay, rules.

use std::hint::black_box;

use airlock::catalog::Catalog;
use airlock::history::{Execution, Send};
use airlock::op::PgVersion;
use airlock::rules::{RuleSet, Selection, check};
use airlock::source::SourceFile;
use airlock::sql::token::{SqlText, tokenize};
use airlock::{lower, replay};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

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

fn inside(c: &mut Criterion) {
    let source = SourceFile::new("bench.sql", history(200));
    let execution = Execution::new(true, Send::Statement);
    let statements = lower::lower(&source, &[source.full_span()]);
    let mut group = c.benchmark_group("inside");
    group.throughput(Throughput::Bytes(source.text().len() as u64));
    group.bench_function("tokenize", |b| b.iter(|| tokenize(SqlText::of(black_box(&source)))));
    group.bench_function("lower", |b| b.iter(|| lower::lower(black_box(&source), &[source.full_span()])));
    group.bench_function("apply", |b| {
        b.iter(|| {
            let mut catalog = Catalog::new(PgVersion(15));
            replay::apply(black_box(&statements), &execution, &mut catalog);
            catalog
        });
    });
    let script = replay::judge(&source, statements.clone(), &execution, &mut Catalog::new(PgVersion(15)));
    group.bench_function("judge", |b| b.iter(|| replay::judge(&source, statements.clone(), &execution, &mut Catalog::new(PgVersion(15)))));
    group.bench_function("rules", |b| b.iter(|| check(RuleSet::built_in(), black_box(&script), &Selection::default())));
    group.finish();
}

criterion_group!(benches, inside);
criterion_main!(benches);
