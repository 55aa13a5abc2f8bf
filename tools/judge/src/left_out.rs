//! What an operation is meant not to keep, with the reason: a node of Postgres's tree and one of its fields. Anything else that differs is a misreading,
//! but for other spellings of the same (`tree::normalise`).

pub const LEFT_OUT: &[(&str, &str)] = &[
    // Names
    ("RangeVar.catalogname", "the database part of a name can only be the current database"),
    // Queries and rows
    ("JoinExpr.jointype", "which rows a join yields decides no question that is asked"),
    ("JoinExpr.join_using_alias", "a name for merged columns, which have their own"),
    ("SortBy.sortby_dir", "the order of a query's rows decides no question that is asked"),
    ("SortBy.sortby_nulls", "as the direction"),
    ("ResTarget.indirection", "of `a.field` and `a[1]` the column counts"),
    ("MergeWhenClause.condition", "kept as a list beside the actions"),
    ("MergeWhenClause.matchKind", "an action may run or not, as with any condition"),
    ("CopyStmt.filename", "where rows come from or go to changes no schema"),
    ("CopyStmt.options", "how rows are spelled"),
    ("CopyStmt.whereClause", "which rows are taken"),
    // Code
    ("RuleStmt.actions", "what a rule does instead is not followed"),
    ("RuleStmt.whereClause", "as the actions"),
    // Objects that are known by name only
    ("CreateRoleStmt.stmt_type", "of a role only the name counts: roles are not of one database"),
    ("GrantStmt.grantor", "who is on record as the giver"),
    ("GrantRoleStmt.grantor", "as in GRANT"),
    ("CreateRangeStmt.params", "of a range type the name counts"),
    ("AlterExtensionStmt.options", "which version an extension is brought to"),
    ("AlterExtensionContentsStmt.action", "what belongs to an extension"),
    ("AlterExtensionContentsStmt.object", "what belongs to an extension"),
    ("AlterExtensionContentsStmt.objtype", "what belongs to an extension"),
    ("CreateForeignTableStmt.options", "options of the foreign server"),
    ("ColumnDef.fdwoptions", "options of the foreign server"),
    ("ConstraintsSetStmt.constraints", "that it is not ALL is kept"),
    // Storage
    ("PartitionElem.opclass", "the operator class of a partition key"),
    ("Constraint.indexspace", "where the index of a constraint lies"),
    ("VacuumRelation.va_cols", "which columns are looked at"),
    ("ClusterStmt.params", "VERBOSE"),
];

/// Only where a query is put together from its parts: the words of a query are kept whole beside them.
pub const LEFT_OUT_OF_PIECES: &[(&str, &str)] = &[
    ("CommonTableExpr.ctematerialized", "how the plan is made"),
    ("CommonTableExpr.cycle_clause", "columns that a recursive query adds"),
    ("CommonTableExpr.search_clause", "columns that a recursive query adds"),
    ("LockingClause.lockedRels", "all tables are taken as locked"),
    ("LockingClause.waitPolicy", "how long it waits"),
    ("RangeFunction.ordinality", "one more column, which its alias names"),
    ("RangeTableFunc.lateral", "a function sees the items before it with LATERAL and without"),
    ("SelectStmt.windowClause", "the keys are kept as a list"),
    ("SelectStmt.limitOption", "WITH TIES"),
    ("SelectStmt.groupDistinct", "which groups there are"),
    ("SortBy.useOp", "as the direction"),
];
