//! Times on many rows, and what is concluded from them.

use super::tests::{failures, made, made_of};
use super::*;
use crate::stats::{RelationStats, Stats};

fn orders(rows: u64) -> Stats {
    let one = RelationStats {
        schema: "public".into(),
        name: "orders".into(),
        kind: "table".into(),
        rows: Some(rows),
        table_bytes: rows * 60,
        ..RelationStats::default()
    };
    Stats { relations: vec![one], ..Stats::default() }
}

#[test]
fn live_a_trigger_without_end_ends_the_proof_and_nothing_is_proved() {
    let limit = std::time::Duration::from_secs(1);
    let shadow =
        Shadow::start(&super::super::ShadowOptions { statement_limit: limit, ..super::super::tests::options() }).expect("a server");
    let base = "CREATE TABLE t (id int PRIMARY KEY, note text); \
                CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN LOOP END LOOP; END'; \
                CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();";
    let (plan, input) = made_of(base, "ALTER TABLE t RENAME COLUMN note TO remark;", &[], &crate::plan::PlanOptions::default());
    let start = std::time::Instant::now();
    let proof = prove(&shadow, &plan, &input, &|_| {}).expect("ends");
    assert!(proof.verdict == Verdict::NotProved && start.elapsed().as_secs() < 120, "{:?} {:?}", proof.verdict, start.elapsed());
    assert!(
        failures(&proof).iter().any(|f| f.contains("public.t took no row") && f.contains("ran longer than 1 s")),
        "{:?}",
        failures(&proof)
    );
}

#[test]
fn live_steps_are_timed_on_many_rows_and_estimated_for_the_real_size() {
    let shadow = Shadow::start(&super::super::tests::options()).expect("a server");
    let (plan, mut input) = made("ALTER TABLE orders ADD CONSTRAINT short CHECK (length(code) < 50);", &[]);
    input.rows = 12_000;
    input.statistics = Some(orders(120_000_000));
    let proof = prove(&shadow, &plan, &input, &|_| {}).expect("runs");
    assert!(failures(&proof).is_empty() && proof.no_times.is_none(), "{:?} {:?}", failures(&proof), proof.no_times);
    let scans: Vec<&StepReport> = proof.steps.iter().filter(|s| s.observed.scans.iter().any(|r| r == "public.orders")).collect();
    assert!(!scans.is_empty(), "nothing is validated");
    for s in scans {
        let at = s.at_size.as_ref().expect("is timed");
        assert!(at.rows.is_some_and(|n| (11_400..=12_600).contains(&n)), "{at:?}");
        let e = at.estimate.as_ref().expect("is estimated");
        assert_eq!((e.table.as_str(), e.rows), ("public.orders", Some(120_000_000)));
        // Ten thousand times the rows: at least ten thousand times what it took for them.
        let beyond = at.milliseconds.saturating_sub(s.milliseconds) as f64 / 1000.0;
        assert!(e.seconds >= beyond * 9_000.0 && e.to_string().contains("an estimate from about 1"), "{e:?} of {s:?}");
        // VALIDATE lets writers through.
        assert!(!at.estimated.as_ref().expect("words").contains("is held"), "{at:?}");
    }
    // Without statistics there is a time and nothing is concluded; with fewer rows there is not even that.
    input.statistics = None;
    let proof = prove(&shadow, &plan, &input, &|_| {}).expect("runs");
    assert!(proof.steps.iter().any(|s| s.at_size.is_some()) && proof.steps.iter().all(|s| s.at_size.iter().all(|a| a.estimate.is_none())));
    input.rows = 20;
    let proof = prove(&shadow, &plan, &input, &|_| {}).expect("runs");
    assert!(!proof.steps.is_empty() && proof.steps.iter().all(|s| s.at_size.is_none()));
}
