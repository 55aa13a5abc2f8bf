//! Reads sizes and counters of a real database. The session is read-only before it asks anything, and
//! no row of any table is read.

use std::time::Duration;

use crate::stats::{IndexStats, RelationStats, Stats};

use super::connect::Server;
use super::error::ShadowError;
use super::session::Session;

/// Said when the connection is opened, so that it holds from the first statement on. Sizes are asked under ACCESS SHARE: who holds a table exclusively
/// must not make this wait, nor it others.
const SETTINGS: &str = "-c default_transaction_read_only=on -c lock_timeout=2s -c statement_timeout=60s -c search_path=pg_catalog";

/// A real database, of which sizes and the schema are asked, and never a row.
pub struct Source {
    server: Server,
}

impl Source {
    pub fn new(url: &str) -> Result<Source, ShadowError> {
        Ok(Source { server: Server::parse(url)?.with_options(SETTINGS) })
    }

    /// `user@host/database`, without the password.
    pub fn describe(&self) -> String {
        self.server.describe()
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// `sample`: two looks that far apart make the rates; else they are made of what the server counted since its last reset.
    pub fn read(&self, sample: Option<Duration>) -> Result<Stats, ShadowError> {
        let mut session =
            Session::connect(&self.server, Duration::from_secs(90)).map_err(ShadowError::sql(format!("connect to {}", self.describe())))?;
        let (first, began) = look(&mut session)?;
        let Some(pause) = sample else { return Ok(first) };
        std::thread::sleep(pause);
        let (second, ended) = look(&mut session)?;
        Ok(second.since(&first, ended - began))
    }
}

/// Sizes of the tables of a database to which there is a session.
pub fn sizes(session: &mut Session) -> Result<Stats, ShadowError> {
    look(session).map(|(stats, _)| stats)
}

/// One look, and the server's time of it in seconds.
fn look(session: &mut Session) -> Result<(Stats, f64), ShadowError> {
    let mut ask = |what: &str, sql: &str| session.rows(sql).map_err(ShadowError::sql(what));
    ask("begin to read", "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    let head = ask("read when counting began", HEAD)?;
    let tables = ask("read the sizes of tables", TABLES)?;
    let indexes = ask("read the sizes of indexes", INDEXES)?;
    ask("end reading", "COMMIT")?;
    let text = |v: Option<&Option<String>>| v.and_then(Clone::clone).unwrap_or_default();
    let number = |v: Option<&Option<String>>| v.and_then(Option::as_deref).and_then(|s| s.parse::<u64>().ok());
    let head = head.into_iter().next().unwrap_or_default();
    let seconds = |i: usize| head.get(i).and_then(Option::as_deref).and_then(|s| s.parse::<f64>().ok());
    let relations = tables
        .iter()
        .map(|r| {
            let at = |i: usize| number(r.get(i)).unwrap_or(0);
            RelationStats {
                schema: text(r.first()),
                name: text(r.get(1)),
                kind: text(r.get(2)),
                parents: serde_json::from_str(&text(r.get(3))).unwrap_or_default(),
                rows: number(r.get(4)),
                table_bytes: at(5),
                index_bytes: at(6),
                toast_bytes: at(7),
                inserts: at(8),
                updates: at(9),
                deletes: at(10),
                sequential_scans: at(11),
                index_scans: at(12),
                indexes: indexes
                    .iter()
                    .filter(|i| i.first() == r.first() && i.get(1) == r.get(1))
                    .map(|i| IndexStats {
                        name: text(i.get(2)),
                        bytes: number(i.get(3)).unwrap_or(0),
                        scans: number(i.get(4)).unwrap_or(0),
                    })
                    .collect(),
            }
        })
        .collect();
    let stats = Stats {
        schema_version: Stats::SCHEMA_VERSION,
        postgres: text(head.first()).split_whitespace().next().unwrap_or_default().to_string(),
        taken_at: text(head.get(1)),
        stats_reset: head.get(2).cloned().flatten(),
        window_seconds: seconds(3).map(f64::round),
        longest_transaction_seconds: seconds(5).map(|s| (s * 1000.0).round() / 1000.0),
        relations,
    };
    Ok((stats, seconds(4).unwrap_or(0.0)))
}

const HEAD: &str = "SELECT current_setting('server_version'), to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
    to_char(stats_reset AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), extract(epoch FROM now() - stats_reset)::float8, \
    extract(epoch FROM clock_timestamp())::float8, \
    (SELECT extract(epoch FROM max(clock_timestamp() - a.xact_start))::float8 FROM pg_stat_activity a \
      WHERE a.pid <> pg_backend_pid() AND a.datname = current_database() AND a.backend_type = 'client backend') FROM pg_stat_database WHERE datname = current_database()";

/// An empty file holds no rows, whether or not anybody counted them.
const TABLES: &str = "SELECT n.nspname, c.relname, \
    CASE c.relkind WHEN 'p' THEN 'partitioned-table' WHEN 'm' THEN 'materialized-view' ELSE 'table' END, \
    (SELECT json_agg(format('%s.%s', pn.nspname, p.relname) ORDER BY pn.nspname, p.relname) FROM pg_inherits i \
       JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid), \
    CASE WHEN c.relkind = 'p' THEN NULL WHEN c.reltuples >= 0 AND c.relpages > 0 THEN c.reltuples::bigint \
         WHEN pg_relation_size(c.oid) = 0 THEN 0 WHEN c.reltuples > 0 THEN c.reltuples::bigint END, \
    coalesce(pg_table_size(c.oid) - coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0), 0), \
    coalesce(pg_indexes_size(c.oid), 0), coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0), \
    coalesce(s.n_tup_ins, 0), coalesce(s.n_tup_upd, 0), coalesce(s.n_tup_del, 0), coalesce(s.seq_scan, 0), coalesce(s.idx_scan, 0) \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid \
    WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
    ORDER BY n.nspname, c.relname";

const INDEXES: &str = "SELECT n.nspname, c.relname, i.relname, coalesce(pg_relation_size(i.oid), 0), coalesce(s.idx_scan, 0) \
    FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid \
    JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = i.oid \
    WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
    ORDER BY n.nspname, c.relname, i.relname";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::PgVersion;
    use crate::shadow::{Shadow, ShadowOptions};

    #[test]
    fn live_sizes_and_counters_are_read_and_nothing_else() {
        let pg = PgVersion::of_tests();
        let shadow = Shadow::start(&ShadowOptions { pg, exact: true, ..ShadowOptions::default() }).expect("a server");
        let db = shadow.database().expect("a database");
        let mut s = db.connect().expect("a session");
        s.simple(
            "CREATE TABLE a (id int PRIMARY KEY, t text); INSERT INTO a SELECT i, repeat('x', 10) FROM generate_series(1, 500) i; \
             CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9); CREATE TABLE uncounted (a int)",
        )
        .expect("tables");
        s.simple("INSERT INTO uncounted SELECT 1 FROM generate_series(1, 3)").expect("rows");
        s.simple("ANALYZE a; ANALYZE p").expect("counts");
        let source = Source::new(&db.url()).expect("reads");
        // A transaction that somebody forgot.
        s.simple("BEGIN; SELECT 1").expect("a transaction");
        std::thread::sleep(Duration::from_millis(20));
        let stats = source.read(Some(Duration::from_millis(50))).expect("statistics");
        assert_eq!(stats.postgres.split('.').next(), Some(pg.to_string().as_str()));
        assert!(stats.window_seconds.is_some_and(|w| w > 0.04 && w < 30.0), "{:?}", stats.window_seconds);
        assert!(stats.longest_transaction_seconds.is_some_and(|s| s > 0.05 && s < 60.0), "{:?}", stats.longest_transaction_seconds);
        s.simple("COMMIT").expect("ends");
        assert_eq!(source.read(None).expect("statistics").longest_transaction_seconds, None);
        let a = stats.size("public", "a").expect("a");
        assert!(a.rows == Some(500) && a.bytes >= 16_384 && a.writes_per_second.is_some(), "{a:?}");
        assert_eq!(stats.size("public", "p").and_then(|p| p.rows), Some(0));
        assert_eq!(stats.size("public", "uncounted").and_then(|u| u.rows), None, "nobody counted it");
        assert_eq!(stats.relations.iter().find(|r| r.name == "p1").map(|r| r.parents.clone()), Some(vec!["public.p".to_string()]));
        let again = Stats::read(&stats.to_json()).expect("reads");
        assert_eq!(again, stats);
        // The session cannot write.
        let mut reader = Session::connect(&source.server, Duration::from_secs(10)).expect("connects");
        assert!(reader.run("INSERT INTO public.a VALUES (0, '')").expect_err("read-only").is("25006"));
    }
}
