//! What an operation is meant not to keep, with the reason. A path is a node of Postgres's tree with its fields, as `tree::Difference` gives it; what begins
//! with it is left out, too. Anything that differs and stands not here is a misreading.

use crate::judge::Mode;

pub const LEFT_OUT: &[(&str, &str)] = &[
    ("RangeVar.catalogname", "the database part of a name can only be the current database"),
    ("JoinExpr.jointype", "which rows a join yields decides no question that is asked"),
    ("SortBy.sortby_dir", "the order of a query's rows decides no question that is asked"),
    ("SortBy.sortby_nulls", "as the direction"),
    ("CreateRoleStmt.stmt_type", "of a role only the name counts: roles are not of one database"),
    ("DoStmt.args.as", "the code of the block is held against PL/pgSQL's own parser"),
];

/// Only where a query is put together from its parts: the words of a query are kept whole beside them.
pub const LEFT_OUT_OF_PIECES: &[(&str, &str)] = &[];

/// The entry that a path belongs to.
pub fn entry(path: &str, mode: Mode) -> Option<&'static str> {
    let more: &[(&str, &str)] = if mode == Mode::Pieces { LEFT_OUT_OF_PIECES } else { &[] };
    LEFT_OUT
        .iter()
        .chain(more)
        .find(|(p, _)| path.strip_prefix(p).is_some_and(|r| r.is_empty() || r.starts_with(['.', '<'])))
        .map(|(p, _)| *p)
}
