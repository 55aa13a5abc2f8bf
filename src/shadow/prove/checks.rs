//! The checks of a proof: one list, from which the table of `airlock verify`, the pages of `airlock explain` and `docs/checks.md` are made.

use serde::Serialize;
use strum::IntoEnumIterator;

/// What a proof has to show, in the order in which it is told.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum CheckId {
    ReleaseStatements,
    HeldSessions,
    DualWrites,
    LostWrites,
    RoundTrip,
    Backfill,
    Undo,
    FinalCatalog,
    FinalData,
    Effects,
    Blocking,
    NegativeControl,
}

/// The page of a check.
struct Page {
    title: &'static str,
    shows: &'static str,
    how: &'static str,
    failure: &'static str,
    next: &'static str,
}

impl CheckId {
    /// One line for tables.
    pub fn title(self) -> &'static str {
        self.parts().title
    }

    /// A check by its name.
    pub fn named(name: &str) -> Option<CheckId> {
        name.parse().ok()
    }

    /// What `airlock explain` shows.
    pub fn page(self) -> String {
        let p = self.parts();
        format!(
            "# {self}\n\n{}\n\nA check of `airlock verify`.\n\n## What it shows\n\n{}\n\n## How\n\n{}\n\n## When it fails\n\n{}\n\n## What to do\n\n{}\n",
            p.title, p.shows, p.how, p.failure, p.next
        )
    }

    fn parts(self) -> Page {
        match self {
            CheckId::ReleaseStatements => Page {
                title: "Statements of both releases work at every boundary where the plan says so",
                shows: "Release N-1 runs on the schema before, after expand and after migrate; release N writes after expand and runs after migrate, \
                        after the soft contract and after the hard one. No statement of either gets an error that its own schema would not give it.",
                how: "From the catalog before the migration (for N-1) and after it (for N) Airlock makes the statements that an application sends to each \
                      changed table: reads, inserts, updates, upserts, deletes, row locks, COPY, TRUNCATE. Each runs at each boundary and is rolled back, as the owner \
                      of the table and as every role that has rights on it; a role with rights on some columns sends statements over those. To a column that a constraint of \
                      release N will bind, N-1 also gives edges of its type. The queries of `--workload` run as well, for N-1. What a release cannot do \
                      on its own schema is left out, and so are statements that count columns by their position.",
                failure: "A server of that release gets the SQLSTATE shown, from the moment when the phase is applied until the next one.",
                next: "Look at the statement in the counterexample. If the application never sends such a statement, the plan may still serve you, but \
                       it is not proved; otherwise change the step that comes before the boundary.",
            },
            CheckId::HeldSessions => Page {
                title: "Sessions that were open before a step go on after it",
                shows: "A pooled connection outlives a migration: its prepared statements and a transaction that was open while a phase was applied still work.",
                how: "Before each phase a session of each release prepares its statements and opens a transaction; after the phase the prepared \
                      statements are executed and the transaction goes on and commits. A prepared `SELECT *` or `RETURNING *` gets 0A000 (cached plan \
                      must not change result type) as soon as a column comes or goes: Postgres gives nobody a way around it. It is counted and said, and is no failure.",
                failure: "Long-lived connections get the SQLSTATE shown until they reconnect.",
                next: "Let the pool renew its connections between the phases, or change the step.",
            },
            CheckId::DualWrites => Page {
                title: "Writes of both releases, one after the other, stay consistent",
                shows: "While both releases write, what one writes the other one reads: after every write the invariants of the plan hold.",
                how: "At each boundary each release inserts, updates, upserts and deletes rows through a connection of its own; at B2 both take turns at \
                      random (`--seed` repeats the order). After every write each invariant is asked for rows that break it. The steps themselves run \
                      between these writes, and their failure is told here too. On a database of its own only N-1 writes, at B1 and B2: at its end the rows are those of \
                      the migration run directly behind the same writes, whatever the plan says about itself.",
                failure: "The counterexample names the write and the row in which the two sides say different things: one release has lost what the other one wrote.",
                next: "Look at the trigger that keeps the two in step, and at the expressions of `--map … up` and `down`.",
            },
            CheckId::LostWrites => Page {
                title: "No write brings an older or poorer value back",
                shows: "Three ways in which triggers of other tools lose data do not happen: an update of an unrelated column by N-1 undoes what N wrote; an \
                        update by N of a row that is not backfilled yet empties the old column; a changed `search_path` makes a writer be taken for the other release.",
                how: "After expand, and again after migrate: a release writes values, the other one updates the same row without changing anything that the plan keeps \
                      in step, and the first must read what it wrote. The same is done with an empty `search_path`. Columns that the application's own \
                      triggers change on every update are left out.",
                failure: "A value that a release wrote and was told is stored is replaced by another one later.",
                next: "The trigger must compare values (`IS DISTINCT FROM OLD`), and let only the side that changed speak.",
            },
            CheckId::RoundTrip => Page {
                title: "What N writes back unchanged, N-1 reads unchanged",
                shows: "down(up(x)) = x: a value that goes to release N's column and back is the value that N-1 knew.",
                how: "For every row and every column that the plan keeps twice, release N writes another value and then the first one again; what \
                      N-1 reads is compared with what it read before. At B3 the soft contract is undone for it. Rows that come back changed are counted.",
                failure: "N-1, after a rollback or beside N, reads other values in rows that N wrote although N meant the same. A loss that a person has accepted (`--map` \
                          with a `down` of their own, or a step that says that it loses data) is counted, and is no failure.",
                next: "Give a better `down` with `--map`, or accept the loss by writing it.",
            },
            CheckId::Backfill => Page {
                title: "A backfill can be killed at any batch, and ends",
                shows: "The backfill goes on after a kill, leaves other columns alone, writes nothing when it is run once more, and ends while N-1 inserts.",
                how: "The backfill runs with small batches and is ended with pg_terminate_backend at random ones (it is made to wait for a row that \
                      another session holds); it is started again until it ends. Then it runs once more and no row may get a new version. Then it runs on a fresh copy while N-1 inserts.",
                failure: "After a failed deploy rows stay unfilled, are written twice, or the backfill does not end in a busy table.",
                next: "A backfill must commit each batch, look only for rows that are not right yet, and go forward by a key.",
            },
            CheckId::Undo => Page {
                title: "Every step can be taken back, where the plan says so",
                shows: "The undo of each step gives the schema before it back, down to comments and privileges, and the rows; after release N has written, \
                        the way back still leads to a schema on which N-1 works and to rows that are all there. A step that nothing leads back from leaves N-1's rows as they are while N-1 is at work.",
                how: "Each step is run and undone on a copy, and a step outside of a transaction is undone after each of its statements; catalogs and rows are compared. After both releases have written at B2 and B3, \
                      all steps of the phase are undone, last first, and every statement of N-1 runs.",
                failure: "The difference is shown line by line (`-` missing, `+` left over). A rollback at night would leave that behind, or stop in the middle.",
                next: "Correct the undo file of the step, or say in the plan that the step is one-way.",
            },
            CheckId::FinalCatalog => Page {
                title: "The schema at the end is the one that the migration makes directly",
                shows: "Columns and their order, types, defaults, constraints with their validity, indexes, privileges, comments, statistics targets, \
                        sequences, triggers, row security and replica identity are those of the original migration.",
                how: "The plan is run to its end on one copy and the migration on another; the catalogs are compared as text. Differences that the plan declares are counted.",
                failure: "After the plan the next migration, an ORM or a dump meets a schema that nobody wrote.",
                next: "Something is missing from the contract, or a difference is not declared in `deviations`.",
            },
            CheckId::FinalData => Page {
                title: "The rows at the end are those that the migration makes directly",
                shows: "On the same rows the plan and the migration give the same values, in tables that were there and in tables that the migration makes. \
                        On rows that the migration itself refuses, the plan stops before anything is lost and N-1 goes on.",
                how: "Random rows and boundary values of every type (`--rows`, `--seed`); the daring ones first, tamer ones if the migration refuses them. \
                      Values that differ by chance (a random default) are left out, and so are columns that the application's own triggers set at every update; they are named.",
                failure: "The counterexample is a row that only one of the two ends has.",
                next: "Look at the `up` expression and at the backfill.",
            },
            CheckId::Effects => Page {
                title: "Every statement does what was predicted, and nothing slow under a strong lock",
                shows: "Locks that block writes, rewrites, scans and index builds of each statement are those that the plan predicts; no table is read or \
                        written in full while it is locked against writes.",
                how: "Each statement is run under observation: `pg_locks` before the commit, file numbers, tuple counters, and the server's debug notes. Tables hold rows, so that a scan is seen.",
                failure: "In production the statement blocks for as long as the table is large, or takes a lock that nobody expected.",
                next: "Split the step: NOT VALID and VALIDATE, an index built CONCURRENTLY, a second column instead of a change of type.",
            },
            CheckId::Blocking => Page {
                title: "Nobody waits longer than the lock timeout",
                shows: "A step that cannot have its lock gives up after its `lock_timeout`; whoever queued behind it goes on; run again, it works.",
                how: "For each step that takes a strong lock on a table that was there, another session holds the table as a reader or a writer does; a third one queues behind the step. \
                      Its wait is measured. Then the holder lets go and the step is run again. A step outside of a transaction must let others through while it waits.",
                failure: "One long transaction in production would stop every query of the table behind the migration.",
                next: "Put `SET LOCAL lock_timeout` before the statement.",
            },
            CheckId::NegativeControl => Page {
                title: "Broken plans fail",
                shows: "The proof is able to fail: the plan is broken in every way that it has room for, and each is caught by a check.",
                how: "`airlock verify --self-test` leaves out the trigger, skips a batch, swaps steps, leaves out a VALIDATE, an undo, an index, a grant, the \
                      contract, a lock timeout, or takes a wrong expression, each where the plan has such a thing, and proves each broken plan. Without `--self-test` it is not run, and the verdict does not need it.",
                failure: "A broken plan that is not caught means that the proof of the whole one says less than it seems: its rows or statements do not reach the broken part.",
                next: "More rows (`--rows`), another `--seed`, or a workload (`--workload`) that uses what is broken. If that does not help, report it.",
            },
        }
    }
}

/// `docs/checks.md`.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Checks of a proof\n\nMade by `airlock verify --list-checks > docs/checks.md`; `airlock explain CHECK` shows one of them.\n\n\
         `airlock verify` runs a plan on a scratch Postgres and gives each check a status: *pass*, *fail* with a counterexample, or *not run* with the reason. What could not be\n\
         looked at never counts as passed: the verdict is *proved* only if every check that the plan needs has run and passed.\n\n| check | |\n|---|---|\n",
    );
    for c in CheckId::iter() {
        out.push_str(&format!("| [`{c}`](#{c}) | {} |\n", c.title()));
    }
    for c in CheckId::iter() {
        let page = c.page();
        // One level down: the file has a title of its own.
        let page = page.lines().map(|l| if l.starts_with('#') { format!("#{l}") } else { l.to_string() }).collect::<Vec<_>>().join("\n");
        out.push_str(&format!("\n{}\n", page.replace("\n\nA check of `airlock verify`.", "")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_a_page_and_a_name_that_leads_to_it() {
        for c in CheckId::iter() {
            assert_eq!(CheckId::named(&c.to_string()), Some(c));
            assert!(c.page().contains("## What to do") && !c.title().is_empty(), "{c}");
            assert!(!c.page().contains("  "), "{c}: blanks in a row");
        }
        assert_eq!(CheckId::named("no-such-check"), None);
    }

    #[test]
    fn the_documentation_is_up_to_date() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/checks.md");
        let now = std::fs::read_to_string(path).unwrap_or_default();
        assert!(now == markdown(), "write it anew: cargo run -- verify --list-checks > docs/checks.md");
    }
}
