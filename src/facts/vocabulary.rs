//! Every fact that a rule may ask for, with its meaning.

use std::cell::RefCell;
use std::sync::LazyLock;

use rustc_hash::FxHashMap;

pub const VOCABULARY: &[(&str, &str)] = &[
    (
        "op",
        "the operation: `add-column`, `drop-table`, `create-index`, …; `inline-check`, `inline-unique`, `inline-foreign-key` inside of ADD \
         COLUMN; `column` and `name` for each column and name; `statement` and `file` for the whole",
    ),
    ("command", "the statement's command, upper case"),
    ("conditional", "inside IF, LOOP or EXCEPTION of a code block"),
    ("nested", "inside a code block"),
    ("object", "what it is about, as a name"),
    ("object.kind", "`TABLE`, `FUNCTION`, …"),
    ("object.existed", "the object was there before this file"),
    ("table", "name of the table"),
    ("table.existed", "the table was there before this file"),
    ("table.renamed", "it has another name, or is gone, when the file ends"),
    ("columns.gone", "a column of the constraint is not there any more when the file ends"),
    ("table.gone", "it is not there any more when the file ends"),
    ("table.partitioned", "it is a partitioned table"),
    ("table.rows", "estimated rows of it and its partitions; needs statistics"),
    ("table.bytes", "bytes of it with indexes and TOAST; needs statistics"),
    ("table.writes_per_second", "rows written a second; needs statistics with a window"),
    ("table.reads_per_second", "scans begun a second; needs statistics with a window"),
    ("referenced", "table that a foreign key points to"),
    ("referenced.existed", "that table was there before this file"),
    ("column", "name of the column"),
    ("column.not_null", "the column is, or becomes, NOT NULL"),
    ("column.filled", "a value comes by itself: a default, an identity, a serial or generated column"),
    ("column.identity", "an identity column"),
    ("column.serial", "a serial column"),
    ("column.generated", "`stored`, `virtual`"),
    ("default.volatility", "`immutable`, `stable`, `volatile`"),
    ("type.old", "the type before"),
    ("type.new", "the type after"),
    ("type.change", "`free`, `reindex`, `rewrite`"),
    ("new_name", "the name after a rename"),
    ("constraint", "name of the constraint, or its kind where it has none"),
    ("constraint.kind", "`check`, `foreign-key`, `unique`, `primary-key`, `exclude`, `not-null`"),
    ("constraint.not_valid", "NOT VALID was said"),
    ("constraint.using_index", "it takes an index that is there"),
    ("constraint.same_transaction", "it was added in the transaction that validates it"),
    ("index", "name of the index"),
    ("index.unique", "it is a unique index"),
    ("index.concurrently", "CONCURRENTLY was said"),
    ("index.constraint", "it backs a constraint"),
    ("view.concurrently", "REFRESH … CONCURRENTLY"),
    ("if_exists", "IF EXISTS or IF NOT EXISTS was said"),
    ("cascade", "CASCADE was said"),
    ("cascade.idle", "CASCADE was said, and nothing that is known depends on the object"),
    ("bounded", "the data statement has a WHERE"),
    ("full", "VACUUM FULL"),
    ("lock.mode", "strongest lock on a relation that was there before this file, in Postgres's words"),
    ("lock.relation", "that relation"),
    ("blocks.reads", "it keeps others from reading a relation that was there"),
    ("blocks.writes", "it keeps others from writing to a relation that was there"),
    ("rewrites", "tables with rows of before that are written anew"),
    ("scans", "tables with rows of before that are read in full"),
    ("builds", "indexes on such tables that are built"),
    ("scans_under_exclusive", "it reads or writes a whole table while others may not write to it"),
    ("breaks", "kinds of statements of release N-1 that fail afterwards, with their SQLSTATE"),
    ("breaks.words", "the same as a text for people, by SQLSTATE"),
    ("breaks.count", "how many"),
    ("breaks.prepared_only", "only statements prepared before the change fail"),
    ("breaks.query", "the first known query of release N-1 that fails afterwards, with its SQLSTATE; needs a workload"),
    ("breaks.queries", "all of them; needs a workload"),
    ("queries.ambiguous", "known queries of release N-1 in which a name comes to mean two columns (42702); needs a workload"),
    ("queries.positional", "known inserts of release N-1 into the table that name no columns; needs a workload"),
    ("queries.copy_positional", "known COPYs of the table that name no columns; needs a workload"),
    (
        "table.unused_indexes",
        "indexes of the table, not unique, that no query has used for as long as the server has counted; needs statistics",
    ),
    ("statistics.days", "full days for which the server has counted; needs statistics"),
    ("transactions.longest", "seconds for which the oldest transaction was open when the statistics were taken"),
    ("workload.complete", "the workload is said to be all that release N-1 runs"),
    ("undo", "`lossless`, `loses-data`, `blocked-by-data`, `impossible`"),
    ("fails", "SQLSTATE with which Postgres refuses the statement"),
    ("error", "why, in Postgres's words"),
    ("opaque", "why the statement was not understood: `syntax`, `dynamic`, `template`, `language`, `psql`"),
    ("opaque.message", "what was expected and found"),
    ("in_transaction", "it runs inside a transaction, its own statement not counted"),
    ("lock_timeout", "a lock_timeout other than 0 is set"),
    (
        "holds_exclusive",
        "one other table that was there is locked ACCESS EXCLUSIVE earlier in the same transaction; said of the second table only",
    ),
    ("skipped", "the operation whose IF [NOT] EXISTS finds nothing to do; `op` is `skipped` then"),
    ("skipped.differs", "what is there differs from what IF NOT EXISTS asks for, and how"),
    ("skipped.near", "IF EXISTS finds nothing, but this object of the same name is elsewhere"),
    ("again", "SQLSTATE that the operation gets when a file without transaction is run again"),
    ("replaced", "kind of what has the dropped or renamed object's name when the transaction commits"),
    ("replaced.filled", "an UPDATE of the file fills the column that takes its place from it"),
    ("shim.breaks", "statements of release N-1 that the view under the old name does not serve"),
    ("shim.complete", "the view under the old name serves all but COPY, TRUNCATE and ON CONSTRAINT"),
    ("breaks.file", "kinds of statements on the table that fail once the whole file has run"),
    ("arbiter.lost", "upserts that find no unique key once the whole file has run, with their SQLSTATE"),
    ("dropped_later", "the script drops again what it made, and never read it"),
    ("default.dropped_later", "the new column's default is dropped later in the file"),
    ("default.old", "the default before"),
    ("default.changed", "the default is another than before, or gone and not back at the commit"),
    ("expanded_in", "the migration, also new, that fills a new column from the one that is dropped here (needs git)"),
    ("expanded_here", "new column that this file fills from the one that it drops"),
    ("table.replaces", "the new table takes the name of one that was there"),
    ("table.unlogged", "UNLOGGED"),
    ("table.row_security", "row security is on when the file ends"),
    ("parent", "the partitioned table that it belongs to"),
    ("column.existed", "the column was there before this file"),
    ("column.was", "a column of that name was there before this file and was `dropped` or `renamed` by it"),
    ("columns.existed", "the constraint speaks of a column that was there before this file, under this name"),
    ("constraint.existed", "the constraint was there before this file"),
    ("constraint.not_enforced", "NOT ENFORCED was said"),
    ("constraint.held", "one that is at least as strict was there before"),
    ("takes.constraints", "constraints over several columns that go with the column"),
    ("takes.indexes", "indexes over several columns that go with the column"),
    ("type.loses", "values that are there do not survive the change of type"),
    ("type.undo", "undo of the change of type after release N has written"),
    ("enum.removed", "labels that the new enum does not have"),
    ("identity.always", "GENERATED ALWAYS AS IDENTITY"),
    ("fk.changes", "actions of the foreign key that differ from those of the one before"),
    ("fk.on_delete", "`CASCADE`, `NO ACTION`, …"),
    ("function.security_definer", "SECURITY DEFINER"),
    ("function.search_path", "it sets its own search_path"),
    ("function.language", "its language"),
    ("function.concatenates", "it glues text into SQL that it executes"),
    ("function.trigger", "it is a trigger's function"),
    ("function.change", "what callers of the old function notice: `signature`, `returns`"),
    ("function.was", "the old signature or result"),
    ("function.signature", "name and argument types"),
    ("function.returns", "its result"),
    ("functions.using", "functions whose bodies name the table or column, and that nothing renews"),
    ("trigger.timing", "`BEFORE`, `AFTER`, `INSTEAD OF`"),
    ("trigger.row", "FOR EACH ROW"),
    ("trigger.events", "`INSERT`, `UPDATE`, …"),
    ("trigger.guarded", "it has a WHEN"),
    ("trigger.existed", "a trigger of that name was there before this file"),
    ("trigger.assigns", "columns of before that the trigger's function overwrites"),
    ("trigger.raises", "its function raises exceptions"),
    ("trigger.swallows", "a BEFORE trigger whose function may return NULL: the write silently does nothing"),
    ("copied", "new column that is kept as a copy of an old one"),
    ("copied.from", "the old one"),
    ("copied.required", "the old column that the new one is filled from, where it still is NOT NULL without a default when the file ends"),
    ("synced", "a trigger keeps the copy in step"),
    ("view.materialized", "MATERIALIZED"),
    ("view.security_invoker", "security_invoker is on"),
    ("view.reads_guarded", "tables with row security that it reads"),
    ("view.lost", "columns of the old view that are gone or have another type"),
    ("select_star", "the query says `*`"),
    ("grant.privileges", "what is granted or revoked"),
    ("grant.to", "roles"),
    ("grant.public", "to PUBLIC"),
    ("grant.all", "ALL PRIVILEGES"),
    ("grant.option", "WITH GRANT OPTION"),
    ("grant.roles", "membership in a role"),
    ("grants.missing", "roles that its siblings, or the one that it replaces, are granted to and this one is not"),
    ("owner.new", "the new owner"),
    ("owner.siblings", "owner of most tables of the schema, where it is another"),
    ("policy.command", "`ALL`, `SELECT`, …"),
    ("policy.permissive", "it is permissive"),
    ("policy.roles", "roles that it speaks to; `public` where none is named"),
    ("policy.always_true", "USING or WITH CHECK is simply true"),
    ("policy.count", "permissive policies of the table when the transaction commits"),
    ("policy.count_at_end", "permissive policies of the table when the file ends"),
    ("policy.missing", "roles with grants that no policy speaks to"),
    ("policy.setting", "every policy asks current_setting()"),
    ("row_security.was", "row security was on before"),
    ("detail", "the words of a statement that is kept as text"),
    ("password", "a password stands in the text"),
    ("extension.schema", "schema that the extension goes to"),
    ("extension.pinned", "a version is given"),
    ("by_key", "the rows are picked by a unique key, or by a sub-select with LIMIT"),
    ("overwrites.again", "an earlier statement of the file did so in the same table"),
    ("overwrites.down", "the way back writes to the same table"),
    ("overwrites", "values or rows of before this file are overwritten or deleted"),
    ("saved", "the file puts the table's rows aside before"),
    ("mixed", "a statement of the same transaction changes tables that were there"),
    ("assigned_twice", "columns that one statement writes twice"),
    ("insert.columns", "the insert names its columns"),
    ("insert.rows", "rows of VALUES"),
    ("insert.copies", "it reads a table that was there, without LIMIT"),
    ("block.loops", "the code block loops"),
    ("block.commits", "the code block commits"),
    ("block.sleeps", "the code block sleeps"),
    ("block.writes", "tables of before that it writes to in a loop or branch"),
    ("down.missing", "no down half, or one that does nothing"),
    ("down.expected", "most migrations of the history have a down half"),
    ("changes_schema", "the file does more than read, and something else than adding labels to an enum"),
    ("down.differences", "what differs from before after running the file forward and backward"),
    ("down.empty", "what the down half makes anew without its rows"),
    ("down.loses", "data of before the migration that the down half removes"),
    ("down.blocked", "what rows of release N must be like for the down half to run"),
    ("sqlstate", "SQLSTATE that follows otherwise"),
    ("version", "the migration's version"),
    (
        "unknown",
        "the first thing that the file names and no migration makes, in Postgres's words, where later migrations came after it all the same",
    ),
    ("version.duplicate", "another migration with the same version"),
    ("version.overtaken", "a later migration that was there first"),
    ("edited", "the file was committed before and has changed"),
    // Waiting, and what is locked beside the table that is named.
    ("lock_timeout.ms", "the bound on the wait for a lock, in milliseconds"),
    ("statement_timeout", "a statement_timeout other than 0 is set"),
    ("idle_timeout", "an idle_in_transaction_session_timeout (or transaction_timeout) other than 0 is set"),
    ("lock.first_unbounded", "the first lock of the file that keeps writers out and whose wait no lock_timeout bounds"),
    ("lock.first_bounded", "the first lock of the file that keeps writers out and whose wait a lock_timeout bounds"),
    ("lock.first_without_statement_timeout", "the first lock of the file that keeps writers out without a statement_timeout"),
    ("lock.first_without_idle_timeout", "the first lock of the file that keeps writers out, in a transaction without an idle timeout"),
    ("setting", "the setting that SET changes; `role` for SET ROLE"),
    ("setting.value", "the new value"),
    ("setting.ms", "the new value as a time, in milliseconds"),
    ("setting.local", "SET LOCAL"),
    ("setting.ineffective", "SET LOCAL outside of a transaction: it does nothing"),
    ("setting.locks_follow", "a later statement of the file keeps writers of a table out that was there"),
    ("setting.leaks", "set for the session, and not reset in the rest of the file"),
    ("session_state", "the words that leave something in the session: SET, LISTEN, PREPARE, an advisory lock, a temporary table"),
    ("held", "tables that earlier statements of the transaction hold ACCESS EXCLUSIVE"),
    ("slow", "it reads or writes a table that was there in full, or builds an index on it"),
    ("relation.kind", "what the named relation is: `table`, `partitioned table`, `index`, `view`, `materialized view`, `sequence`, …"),
    ("replaces", "OR REPLACE of something that is there"),
    ("concurrently", "a CONCURRENTLY that Postgres refuses in a transaction: CREATE / DROP / REINDEX INDEX, DETACH PARTITION"),
    ("foreign_keys.tables", "with this foreign key the transaction comes to lock a second referenced table: all of them"),
    ("locks.parents", "tables at the other end of foreign keys that come or go with this: they are locked too"),
    ("trigger", "name of the trigger; `ALL` or `USER`"),
    ("trigger.mode", "`enable`, `disable`"),
    ("partition", "the partition that is attached or detached"),
    ("partition.existed", "it was there before this file"),
    ("partition.scanned", "it is read in full to see that its rows belong there"),
    ("partition.concurrently", "DETACH … CONCURRENTLY or FINALIZE"),
    ("partition.of", "the table that it becomes a partition of"),
    ("partition.of_existed", "that table was there before this file"),
    ("default_partition", "the default partition of that table, where it has one of before"),
    ("default_partition.scanned", "it is read in full for rows of the new partition"),
    ("table.passes", "how often ALTER TABLEs of this file have by now read or written the whole table while writers waited"),
    // Rewrites.
    ("type.domain_constrained", "the new type is a domain with a constraint"),
    ("type.depends_on_zone", "timestamp ↔ timestamptz without USING: what comes out depends on the session's time zone"),
    ("type.using", "USING says more than the column itself"),
    // Constraints.
    ("not_null.proof_dropped", "the constraint that proves that the column holds no NULL is dropped by the same ALTER TABLE"),
    ("constraint.never_validated", "later migrations are known, and none validates it"),
    ("constraint.nullable", "columns of a primary key that may still hold NULL"),
    ("constraint.columns", "the columns that it names"),
    ("table.had_primary_key", "the table had a primary key before this file"),
    ("table.primary_key", "the new table has a primary key at the end of the file, or is gone"),
    ("table.has_foreign_key", "the new table has a foreign key at the end of the file"),
    ("table.temporary", "a temporary table"),
    ("table.partition", "a partition"),
    ("table.inherits", "it inherits, is typed (OF) or foreign"),
    ("foreign_key.indexed", "at the end of the file an index begins with the columns of the foreign key"),
    ("foreign_key.mismatch", "the columns of the foreign key and those it points to differ in type: how"),
    // Indexes.
    ("index.named", "a name was given"),
    ("index.method", "`btree`, `hash`, `gin`, …"),
    ("index.columns", "number of keys"),
    ("index.only", "ON ONLY: the partitions' indexes are not built"),
    ("index.existed", "IF NOT EXISTS, and there is one of this name"),
    ("index.dropped_before", "an index of this name is dropped earlier in the file"),
    ("index.same_as", "an index that has the same keys, condition and method"),
    ("index.prefix_of", "an index that begins with the same keys"),
    ("index.repeats", "a key that stands in it twice"),
    ("index.gap_until", "the index that takes over in a later transaction of the file; until then there is none"),
    ("table.indexes", "number of indexes of the table with this one"),
    // Types and hygiene; `op = "column"` is each column that is defined, or whose type changes.
    ("type.base", "the type without length: `integer`, `serial`, `character varying`, `timestamp without time zone`, `public.mood`, …"),
    ("type.length", "length or precision, where one is given"),
    ("type.array", "an array"),
    ("type.kind", "of a type that a migration made: `enum`, `domain`, `composite`, `range`"),
    ("collation", "the collation that is named"),
    ("column.primary_key", "the column is (part of) the primary key"),
    ("column.references", "the column has a REFERENCES"),
    ("generated.implicit", "GENERATED ALWAYS AS without STORED or VIRTUAL"),
    ("table.columns", "number of columns of the table"),
    ("table.column_names", "their names"),
    ("table.padding", "bytes of each row that alignment loses between the fixed-width columns at its beginning"),
    ("table.commented", "COMMENT ON TABLE comes in the same file"),
    ("autovacuum_off", "autovacuum_enabled is set to false"),
    ("domain.constrained", "NOT NULL or CHECK on a domain"),
    ("enum.placed", "ADD VALUE … BEFORE or AFTER"),
    // Names; `op = "name"` is each name that the script gives to something.
    ("name", "the name, as Postgres folds it"),
    ("name.kind", "`table`, `column`, `index`, `constraint`, `view`, `sequence`, `type`, `function`, `trigger`, `policy`, `schema`"),
    ("name.bytes", "its length in bytes"),
    ("name.too_long", "longer than the 63 bytes that Postgres keeps"),
    ("name.mixed_case", "it has capitals, so it must be quoted everywhere"),
    ("name.reserved", "a reserved word, so it must be quoted everywhere"),
    ("name.unqualified", "it could have a schema in front, and has none"),
    // Transactions and runners; `op = "file"` is the file as a whole.
    ("transaction.why", "why the statement is in a transaction"),
    ("transaction.inside", "BEGIN while a transaction is open; COMMIT of a code block that was called inside one"),
    ("transaction.unclosed", "BEGIN that nothing in the file ends"),
    ("transaction.ends_runners", "COMMIT or ROLLBACK of the runner's transaction"),
    ("refuses_transaction", "Postgres refuses it inside a transaction"),
    ("enum.fresh_label", "an enum label that is used in the transaction that adds it"),
    ("triggers_pending", "a table that is altered while deferred triggers of the same transaction wait for it"),
    ("file.statements", "number of statements"),
    ("file.transaction", "the file runs in a transaction, the runner's or its own"),
    ("file.refuse_transaction", "number of statements that refuse to run in a transaction"),
    ("file.could_be_in_transaction", "number of other statements that change the schema or data"),
    ("pg", "major version of Postgres"),
];

pub fn is_known(name: &str) -> bool {
    id(name).is_some()
}

/// A fact by its place in the vocabulary: rules ask for facts hundreds of times for each operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FactId(u16);

impl FactId {
    pub fn name(self) -> &'static str {
        VOCABULARY.get(usize::from(self.0)).map_or("", |(n, _)| n)
    }
}

pub fn id(name: &str) -> Option<FactId> {
    static IDS: LazyLock<FxHashMap<&'static str, FactId>> =
        LazyLock::new(|| VOCABULARY.iter().enumerate().map(|(i, (n, _))| (*n, FactId(i as u16))).collect());
    IDS.get(name).copied()
}

/// The same for a name that is written in the code: it is found by where it stands in memory.
pub(super) fn written(name: &'static str) -> Option<FactId> {
    type Seen = FxHashMap<(*const u8, usize), Option<FactId>>;
    thread_local! {
        static SEEN: RefCell<Seen> = RefCell::default();
    }
    SEEN.with_borrow_mut(|seen| *seen.entry((name.as_ptr(), name.len())).or_insert_with(|| id(name)))
}

/// For each fact, where something of it is kept.
#[derive(Debug, Clone)]
pub(super) struct Places([u16; VOCABULARY.len()]);

impl Default for Places {
    fn default() -> Self {
        Places([0; VOCABULARY.len()])
    }
}

impl Places {
    pub fn of(&self, id: FactId) -> Option<usize> {
        usize::from(*self.0.get(usize::from(id.0))?).checked_sub(1)
    }

    pub fn set(&mut self, id: FactId, at: usize) {
        if let Some(place) = self.0.get_mut(usize::from(id.0)) {
            *place = at as u16 + 1;
        }
    }
}
