//! What is not predicted, each with its reason and with a few statements that show it: when an exception no longer occurs, its test fails.

use crate::catalog::{RelKind, RelName};
use crate::op::{AlterAction, ConstraintKind, LockMode, Op, OpKind, Query};
use crate::replay::Replayed;

use super::super::session::Session;
use super::compare::{Context, Side, What};
use super::has;

pub struct Exception {
    /// What happens and why it is not predicted.
    pub name: &'static str,
    pub explains: fn(&Context<'_>, &What, &mut Session) -> bool,
    /// Statements of which the last one shows it.
    pub shown_by: &'static [&'static str],
    /// Versions in which it does.
    pub on: std::ops::RangeInclusive<u8>,
}

const ALL: std::ops::RangeInclusive<u8> = 14..=18;

pub const LIST: &[Exception] = &[
    Exception {
        // Who runs the migration is not known, and only a superuser may do this.
        name: "triggers of constraints are switched by a superuser only",
        explains: |c, what, _| {
            let o = &c.seen.effects;
            *what == What::Failure
                && c.judged.effects.fails.is_none()
                && o.fails.as_deref() == Some("42501")
                && o.error.as_ref().is_some_and(|m| m.contains("is a system trigger"))
        },
        shown_by: &["CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE u (t int REFERENCES t)", "ALTER TABLE u DISABLE TRIGGER ALL"],
        on: ALL,
    },
    Exception {
        // It may handle its errors, or not come to the statement.
        name: "what the body of a procedure meets",
        explains: |c, what, _| {
            let calls = has(&c.judged.statement, |k| matches!(k, OpKind::Call { .. }));
            *what == What::Failure && calls && c.judged.effects.fails.is_none()
        },
        shown_by: &["CREATE TABLE t (a int)", "CREATE PROCEDURE p() LANGUAGE sql AS 'DELETE FROM t'", "DROP TABLE t", "CALL p()"],
        on: ALL,
    },
    Exception {
        name: "the settings of the server belong to a superuser",
        explains: |c, what, _| {
            let alone = has(&c.judged.statement, |k| matches!(k, OpKind::NoTransaction { .. }));
            *what == What::Failure && alone && c.judged.effects.fails.is_none() && c.seen.effects.fails.as_deref() == Some("42501")
        },
        shown_by: &["ALTER SYSTEM SET work_mem = '4MB'"],
        on: ALL,
    },
    Exception {
        // DETACH does not mark the key as one that no child inherits.
        name: "the key of a former partition is looked for in its children",
        explains: |c, what, _| {
            let dropped = has(&c.judged.statement, |k| matches!(k, OpKind::Alter { action: AlterAction::DropConstraint { .. }, .. }));
            *what == What::Failure && dropped && c.judged.effects.fails.is_none() && c.seen.effects.fails.as_deref() == Some("42704")
        },
        shown_by: &[
            "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY LIST (id)",
            "CREATE TABLE q PARTITION OF p FOR VALUES IN (1)",
            "ALTER TABLE p DETACH PARTITION q",
            "CREATE TABLE r () INHERITS (q)",
            "ALTER TABLE q DROP CONSTRAINT q_pkey",
        ],
        on: ALL,
    },
    Exception {
        // Two reasons to refuse, and who asks decides which is said.
        name: "what an extension made belongs to the superuser",
        explains: |c, what, _| {
            *what == What::Failure && c.seen.effects.fails.as_deref() == Some("42501") && c.judged.effects.fails.as_deref() == Some("2BP01")
        },
        shown_by: &["CREATE EXTENSION citext", "DROP TYPE citext"],
        // Since 15 the extension is named first.
        on: 14..=14,
    },
    Exception {
        // Postgres prepares all subcommands before it runs the first one, so the error of a later one may come first; of the constraints of
        // a new column, keys are made, and meet the rows, before foreign keys are looked at.
        name: "which of several refused subcommands is named",
        explains: |c, what, _| {
            let parts = |o: &Op| match &o.kind {
                OpKind::Alter { action: AlterAction::AddColumn { column, .. }, .. } => column.constraints.len().max(1),
                OpKind::Alter { .. } => 1,
                _ => 0,
            };
            let commands: usize = c.judged.statement.ops.iter().map(parts).sum();
            *what == What::Failure && commands > 1 && c.judged.effects.fails.is_some() && c.seen.effects.fails.is_some()
        },
        shown_by: &["CREATE TABLE t (a int)", "ALTER TABLE t DROP COLUMN missing, ALTER COLUMN a TYPE missing_type"],
        on: ALL,
    },
    Exception {
        // Whether the last pages of the file are empty depends on what was deleted.
        name: "VACUUM cuts empty pages off under ACCESS EXCLUSIVE",
        explains: |c, what, _| {
            let vacuum = has(&c.judged.statement, |k| matches!(k, OpKind::Vacuum { .. }));
            vacuum && matches!(what, What::Lock(_, Some(LockMode::ShareUpdateExclusive), Some(LockMode::AccessExclusive)))
        },
        shown_by: &["CREATE TABLE t AS SELECT n FROM generate_series(1, 500000) n", "DELETE FROM t", "VACUUM t"],
        on: ALL,
    },
    Exception {
        // The look from outside comes when it comes.
        name: "a lock outside of a transaction is held too shortly to be seen",
        explains: |c, what, _| matches!(what, What::Lock(_, a, b) if !c.seen.effects.in_transaction && b < a),
        shown_by: &["CREATE TABLE t (a int)", "CREATE INDEX i ON t (a)", "VACUUM FULL t"],
        on: ALL,
    },
    Exception {
        name: "the old index of REINDEX CONCURRENTLY is dropped when nobody uses it any more",
        explains: |c, what, _| {
            let reindex = c.judged.statement.command.starts_with("REINDEX") && !c.seen.effects.in_transaction;
            reindex && matches!(what, What::Lock(_, _, Some(LockMode::AccessExclusive)))
        },
        // Many indexes are dropped together, long enough to be looked at.
        shown_by: &[
            "CREATE TABLE t (a int UNIQUE, b int UNIQUE, c int UNIQUE, d int UNIQUE, e int UNIQUE, f int UNIQUE, g int UNIQUE, h int UNIQUE, \
             i int UNIQUE, j int UNIQUE, k int UNIQUE, l int UNIQUE, m int UNIQUE, n int UNIQUE, o int UNIQUE, p int UNIQUE, q int UNIQUE)",
            "REINDEX TABLE CONCURRENTLY t",
        ],
        on: ALL,
    },
    Exception {
        name: "to which partitions and keys a write goes is up to the rows",
        explains: |c, what, _| matches!(what, What::Lock(_, a, b) if is_data(c.judged) && b < a),
        shown_by: &[
            "CREATE TABLE p (id int) PARTITION BY LIST (id)",
            "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)",
            "CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2)",
            "INSERT INTO p VALUES (1)",
        ],
        on: ALL,
    },
    Exception {
        name: "the bounds of a partition are read once and then remembered",
        explains: |c, what, _| matches!(what, What::Lock(r, Some(LockMode::AccessShare), None) if remembers(c.judged, r)),
        shown_by: &[
            "CREATE TABLE p (a int, b int) PARTITION BY LIST (a)",
            "CREATE TABLE q PARTITION OF p FOR VALUES IN (1) PARTITION BY LIST (b)",
            "CREATE TABLE r PARTITION OF q FOR VALUES IN (1)",
            "CREATE TABLE s PARTITION OF q FOR VALUES IN (2)",
        ],
        on: ALL,
    },
    Exception {
        name: "one side of a join is not opened or not read when the other gives no row",
        explains: |c, what, _| {
            let unread = matches!(what, What::Lock(_, Some(LockMode::AccessShare), None) | What::Scan(_, Side::Predicted));
            unread && joins(c.judged)
        },
        shown_by: &[
            "CREATE TABLE a AS SELECT 1 AS n",
            "CREATE TABLE b AS SELECT 1 AS n",
            "TRUNCATE a",
            "CREATE TABLE c AS SELECT x.n FROM b x CROSS JOIN a y",
        ],
        on: ALL,
    },
    Exception {
        // The counters count rows. A rewrite is a read whatever they say.
        name: "a read of no rows counts nothing",
        explains: |c, what, session| {
            matches!(what, What::Scan(r, Side::Predicted)
                if c.seen.effects.rewrites.contains(r) || c.seen.empty.contains(r) || holds_no_row(c, session, r))
        },
        shown_by: &["CREATE TABLE t (a int)", "CREATE UNIQUE INDEX i ON t (a)"],
        on: ALL,
    },
    Exception {
        name: "how a query reads its tables is up to the planner",
        explains: |c, what, _| {
            // What DO runs is planned too.
            let planned = c.judged.statement.ops.iter().any(|o| match &o.kind {
                OpKind::Query(_) | OpKind::Dml(_) | OpKind::CreateTableAs(_) | OpKind::RefreshView { .. } => true,
                OpKind::CreateView(v) => v.materialized,
                _ => false,
            });
            let data = matches!(what, What::Scan(_, Side::Predicted)) && is_data(c.judged);
            data || planned && matches!(what, What::Scan(_, Side::Observed))
        },
        shown_by: &[
            "CREATE TABLE t AS SELECT 1 AS n",
            "CREATE INDEX i ON t (n)",
            "ANALYZE t",
            "CREATE TABLE u AS SELECT n FROM t WHERE n > 0",
        ],
        on: ALL,
    },
];

/// The same for statements of release N-1, which `release` finds.
pub const OF_RELEASE: &[(&str, &[&str])] = &[
    (
        super::release::CHANCE,
        &[
            "CREATE FUNCTION n() RETURNS int LANGUAGE sql AS 'SELECT count(*)::int FROM pg_catalog.pg_class WHERE relname = ''ix'''",
            "CREATE TABLE t (a int PRIMARY KEY DEFAULT n(), b int)",
            "INSERT INTO t VALUES (1, 1)",
            "CREATE INDEX ix ON t (b)",
        ],
    ),
    (
        super::release::PRUNED,
        &[
            "CREATE TABLE p (id int, a int) PARTITION BY LIST (id)",
            "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)",
            "CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2)",
            "CREATE PUBLICATION pub FOR TABLE p",
            "INSERT INTO p VALUES (1, 1)",
            "ALTER TABLE p1 REPLICA IDENTITY FULL",
            "ALTER TABLE p1 REPLICA IDENTITY DEFAULT",
        ],
    ),
    (
        super::release::COPY_OF_ANOTHER_ROW,
        &["CREATE TABLE t (a text, b int)", "INSERT INTO t VALUES (NULL, 1)", "ALTER TABLE t ALTER COLUMN a TYPE date USING NULL"],
    ),
];

/// Reads and writes rows: which of the tables behind it are touched depends on the rows.
fn is_data(judged: &Replayed) -> bool {
    let data = |k: &OpKind| matches!(k, OpKind::Dml(_) | OpKind::Query(_) | OpKind::Copy { .. } | OpKind::Call { .. });
    judged.statement.ops.iter().any(|o| data(&o.kind))
}

fn joins(judged: &Replayed) -> bool {
    has(&judged.statement, |k| match k {
        OpKind::CreateTableAs(t) => several(judged, &t.query),
        OpKind::CreateView(v) => several(judged, &v.query),
        OpKind::RefreshView { .. } => true,
        // A foreign key is checked by a join.
        OpKind::Alter { action, .. } => match action {
            AlterAction::AddConstraint(c) => matches!(c.kind, ConstraintKind::ForeignKey(_)),
            AlterAction::ValidateConstraint { .. }
            | AlterAction::AlterConstraint { .. }
            | AlterAction::AttachPartition { .. }
            | AlterAction::DetachPartition { .. }
            | AlterAction::SetType { .. } => true,
            _ => false,
        },
        _ => false,
    })
}

fn several(judged: &Replayed, q: &Query) -> bool {
    let names = q.relations();
    names.len() > 1 || names.iter().any(|n| judged.before.relation_by(n).is_some_and(|r| r.kind == RelKind::View))
}

fn remembers(judged: &Replayed, r: &RelName) -> bool {
    let partitions = has(&judged.statement, |k| match k {
        OpKind::CreateTable(t) => t.partition_of.is_some(),
        OpKind::Alter { action, .. } => matches!(action, AlterAction::AttachPartition { .. }),
        OpKind::Query(_) | OpKind::CreateTableAs(_) | OpKind::RefreshView { .. } => true,
        OpKind::CreateView(v) => v.materialized,
        _ => false,
    });
    partitions && judged.before.relation_named(&r.schema, &r.name).is_some_and(|r| r.kind == RelKind::PartitionedTable)
}

fn holds_no_row(c: &Context<'_>, session: &mut Session, r: &RelName) -> bool {
    let exists = c.judged.after.relation_named(&r.schema, &r.name).is_some_and(|r| !r.kind.is_index());
    exists && matches!(session.value(&format!("SELECT 1 FROM ONLY {} LIMIT 1", r.sql())), Ok(None))
}
