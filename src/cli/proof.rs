//! A proof for a terminal: the table of checks, counterexamples, what each statement did.

use std::io::Write;

use crate::plan::PredictedEffects;
use crate::shadow::prove::{Finding, Proof, Status};

use super::CliError;
use super::screen::fit;

pub fn text(proof: &Proof, home: &str, out: &mut dyn Write) -> Result<(), CliError> {
    writeln!(out, "On {home}:\n")?;
    let wide = proof.checks.iter().map(|c| c.id.to_string().len()).max().unwrap_or(0);
    writeln!(out, "{:wide$}  status", "check")?;
    for c in &proof.checks {
        let first = c.detail.lines().next().unwrap_or_default();
        writeln!(out, "{}", fit(wide + 11, &format!("{:wide$}  {:8} {first}", c.id.to_string(), word(c.status))))?;
    }
    for f in proof.findings.iter().filter(|f| f.status == Status::Fail) {
        failure(f, out)?;
    }
    let open: Vec<&Finding> = proof.findings.iter().filter(|f| f.gap).collect();
    if !open.is_empty() {
        writeln!(out, "\nNot looked at, so nothing is proved:")?;
        for f in open {
            writeln!(out, "{}", fit(2, &format!("  {}", looked_at(f))))?;
        }
    }
    writeln!(out, "\nWhat was looked at:")?;
    for f in proof.findings.iter().filter(|f| f.status != Status::Fail && !f.gap) {
        writeln!(out, "{}", fit(11, &format!("  {:8} {}", word(f.status), looked_at(f))))?;
    }
    steps(proof, out)?;
    let n = |status: Status| proof.checks.iter().filter(|c| c.status == status).count();
    let more = if n(Status::Fail) > 0 { "; `airlock explain CHECK` says what a failure means" } else { "" };
    writeln!(
        out,
        "\n{}: {} checks passed, {} failed, {} not run (Postgres {}){more}",
        proof.verdict,
        n(Status::Pass),
        n(Status::Fail),
        n(Status::NotRun),
        proof.postgres
    )?;
    Ok(())
}

fn looked_at(f: &Finding) -> String {
    format!("{}{}: {}", f.check, place(f), f.detail.lines().next().unwrap_or_default())
}

fn word(s: Status) -> &'static str {
    match s {
        Status::Pass => "pass",
        Status::Fail => "FAIL",
        Status::NotRun => "not run",
    }
}

/// ` at B2, release N, step …`.
fn place(f: &Finding) -> String {
    let parts =
        [f.boundary.map(|b| format!("at {b}")), f.release.map(|r| format!("release {r}")), Some(f.about.clone()).filter(|a| !a.is_empty())];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!(" {}", parts.join(", ")) }
}

fn failure(f: &Finding, out: &mut dyn Write) -> Result<(), CliError> {
    writeln!(out, "\nFAIL {}{}", f.check, place(f))?;
    for c in &f.counterexamples {
        let mut lines = c.what.lines();
        writeln!(out, "{}", fit(2, &format!("  {}", lines.next().unwrap_or_default())))?;
        for l in lines {
            writeln!(out, "  {l}")?;
        }
        let words = |s: &str| s.split_whitespace().collect::<Vec<_>>().join(" ");
        for (title, value) in [("SQLSTATE", &c.sqlstate), ("row", &c.row), ("statement", &c.statement)] {
            if let Some(v) = value {
                writeln!(out, "{}", fit(14, &format!("    {title:9} {}", words(v))))?;
            }
        }
    }
    if f.counterexamples.is_empty() {
        writeln!(out, "{}", fit(2, &format!("  {}", f.detail)))?;
    }
    Ok(())
}

fn steps(proof: &Proof, out: &mut dyn Write) -> Result<(), CliError> {
    if proof.steps.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nWhat each statement did (predicted | observed):")?;
    let mut file = "";
    for s in &proof.steps {
        if s.file != file {
            file = &s.file;
            writeln!(out, "{}", if file.is_empty() { "the application" } else { file })?;
        }
        writeln!(out, "  {}", s.statement)?;
        writeln!(out, "{}", fit(6, &format!("      {} | {}", words(&s.predicted), words(&s.observed))))?;
        // What is over at once on many rows is not worth a line.
        if let Some(a) = s.at_size.as_ref().filter(|a| a.milliseconds >= 100 || a.estimate.is_some()) {
            let rows = a.rows.map(|n| format!(" on {n} rows")).unwrap_or_default();
            let real = a.estimated.as_ref().map(|e| format!("; {e}")).unwrap_or_default();
            writeln!(out, "{}", fit(6, &format!("      took {} ms{rows}{real}", a.milliseconds)))?;
        }
    }
    if let Some(why) = &proof.no_times {
        writeln!(out, "{}", fit(0, why))?;
    }
    Ok(())
}

pub fn words(e: &PredictedEffects) -> String {
    let mut v: Vec<String> = e.locks.iter().map(|(r, m)| format!("{r} {}", m.sql())).collect();
    v.extend(e.rewrites.iter().map(|r| format!("rewrites {r}")));
    v.extend(e.scans.iter().map(|r| format!("scans {r}")));
    v.extend(e.builds.iter().map(|r| format!("builds {r}")));
    if v.is_empty() { "nothing".to_string() } else { v.join(", ") }
}
