//! What a check has to know to answer: derived from the facts that its rule asks for.

/// In the order of how much it takes to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::Display, strum::EnumIter, serde::Serialize)]
#[strum(serialize_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Needs {
    /// The statement alone.
    Statement,
    /// The file and its transactions.
    File,
    /// The schema that the earlier migrations made.
    #[strum(serialize = "catalog")]
    #[serde(rename = "catalog")]
    Schema,
    /// What release N-1 runs: kinds of statements that are judged on the schema, or a workload.
    Application,
    /// Sizes and traffic of tables, from a statistics file.
    #[strum(serialize = "data")]
    #[serde(rename = "data")]
    Statistics,
}

/// What a fact is taken from. Those not named here stand in the statement itself.
pub fn needs(fact: &str) -> Needs {
    const FILE: &[&str] = &[
        "in_transaction",
        "lock_timeout",
        "lock_timeout.ms",
        "statement_timeout",
        "idle_timeout",
        "holds_exclusive",
        "held",
        "fails",
        "error",
        "setting.ineffective",
        "setting.locks_follow",
        "dropped_later",
        "default.dropped_later",
        "expanded_here",
        "table.replaces",
        "copied",
        "copied.from",
        "copied.required",
        "expanded_in",
        "synced",
        "saved",
        "overwrites",
        "overwrites.again",
        "overwrites.down",
        "table.gone",
        "table.renamed",
        "columns.gone",
        "mixed",
        "down.missing",
        "down.expected",
        "changes_schema",
        "unknown",
        "version.duplicate",
        "version.overtaken",
        "edited",
        "setting.leaks",
        "session_state",
        "table.passes",
        "transaction.why",
        "transaction.inside",
        "transaction.unclosed",
        "transaction.ends_runners",
        "enum.fresh_label",
        "triggers_pending",
        "constraint.same_transaction",
        "foreign_keys.tables",
        "index.gap_until",
        "index.dropped_before",
        "table.commented",
        "table.primary_key",
        "lock.first_unbounded",
        "lock.first_bounded",
        "lock.first_without_statement_timeout",
        "lock.first_without_idle_timeout",
    ];
    const SCHEMA: &[&str] = &[
        "object.existed",
        "skipped.differs",
        "skipped.near",
        "arbiter.lost",
        "again",
        "replaced",
        "replaced.filled",
        "shim.breaks",
        "shim.complete",
        "default.old",
        "default.changed",
        "table.row_security",
        "column.existed",
        "column.was",
        "columns.existed",
        "constraint.existed",
        "constraint.held",
        "takes.constraints",
        "takes.indexes",
        "type.loses",
        "type.undo",
        "enum.removed",
        "fk.changes",
        "function.change",
        "function.was",
        "functions.using",
        "trigger.existed",
        "trigger.assigns",
        "trigger.raises",
        "trigger.swallows",
        "view.reads_guarded",
        "view.lost",
        "grants.missing",
        "owner.siblings",
        "cascade.idle",
        "policy.count",
        "policy.count_at_end",
        "policy.missing",
        "row_security.was",
        "by_key",
        "down.differences",
        "down.empty",
        "down.loses",
        "down.blocked",
        "table.existed",
        "table.partitioned",
        "referenced.existed",
        "column.not_null",
        "column.filled",
        "type.old",
        "type.change",
        "rewrites",
        "scans",
        "builds",
        "slow",
        "scans_under_exclusive",
        "undo",
        "lock.mode",
        "lock.relation",
        "blocks.reads",
        "blocks.writes",
        "relation.kind",
        "replaces",
        "locks.parents",
        "partition.existed",
        "partition.scanned",
        "partition.of_existed",
        "default_partition",
        "default_partition.scanned",
        "type.domain_constrained",
        "type.depends_on_zone",
        "not_null.proof_dropped",
        "constraint.never_validated",
        "constraint.nullable",
        "table.had_primary_key",
        "foreign_key.indexed",
        "foreign_key.mismatch",
        "index.same_as",
        "index.prefix_of",
        "table.indexes",
        "index.existed",
        "type.kind",
        "index.constraint",
    ];
    match fact {
        "table.unused_indexes" | "statistics.days" | "transactions.longest" => Needs::Statistics,
        "table.rows" | "table.bytes" | "table.writes_per_second" | "table.reads_per_second" => Needs::Statistics,
        f if f == "breaks" || f.starts_with("queries.") || f.starts_with("breaks.") || f == "workload.complete" => Needs::Application,
        f if SCHEMA.contains(&f) => Needs::Schema,
        f if FILE.contains(&f) || f.starts_with("file.") => Needs::File,
        _ => Needs::Statement,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_grow_with_what_is_asked() {
        assert_eq!(needs("column.serial"), Needs::Statement);
        assert_eq!(needs("file.transaction"), Needs::File);
        assert_eq!(needs("table.existed"), Needs::Schema);
        assert!(Needs::Statement < Needs::Statistics);
    }
}
