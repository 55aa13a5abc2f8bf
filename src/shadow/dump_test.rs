//! The schema of a database that holds rows, copied and loaded elsewhere.

use super::dump::SchemaCopy;
use super::statistics::Source;
use super::tests::options;
use super::*;

const SCHEMA: &str = "CREATE ROLE dump_app; CREATE ROLE dump_reader LOGIN; CREATE SCHEMA shop AUTHORIZATION dump_app;
    CREATE TYPE shop.state AS ENUM ('new', 'paid');
    CREATE TABLE shop.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, state shop.state NOT NULL DEFAULT 'new', note text);
    CREATE INDEX ON shop.orders (note); CREATE VIEW shop.paid AS SELECT id FROM shop.orders WHERE state = 'paid';
    GRANT SELECT ON shop.orders TO dump_app; COMMENT ON TABLE shop.orders IS 'what people buy';
    CREATE FUNCTION shop.stop() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
    CREATE EVENT TRIGGER stop ON ddl_command_end EXECUTE FUNCTION shop.stop();
    INSERT INTO shop.orders (note) SELECT 'private ' || i FROM generate_series(1, 50) i;";

/// A server with a database in use.
struct InUse {
    server: Shadow,
    db: Database,
    admin: Session,
}

impl InUse {
    fn start() -> InUse {
        let server = Shadow::start(&options()).expect("starts");
        let db = server.database().expect("database");
        let mut admin = db.helper().expect("session");
        admin.simple(SCHEMA).expect("a schema with rows");
        InUse { server, db, admin }
    }

    /// `None`: this machine has no pg_dump for that version, and that is what is said.
    fn copy(&self) -> Option<Result<SchemaCopy, String>> {
        let folder = self.server.dir().display().to_string().replace('/', "%2F");
        let url = format!("postgres://dump_reader@{folder}:5432/{}", self.db.name());
        match Source::new(&url).expect("reads").schema() {
            Err(ShadowError::NoDump { server, .. }) => {
                assert_eq!(server, self.server.pg().0);
                assert!(programs::find_dump(server).is_err());
                None
            }
            end => Some(end.map_err(|e| e.to_string())),
        }
    }
}

#[test]
fn live_the_copy_has_the_schema_and_no_row_and_the_source_is_untouched() {
    let mut source = InUse::start();
    source.admin.run("GRANT pg_read_all_data TO dump_reader").expect("a right");
    let before = snapshot::Snapshot::take(&source.db).expect("looks");
    let Some(copy) = source.copy() else { return };
    let copy = copy.expect("copies");
    assert!(snapshot::Snapshot::take(&source.db).expect("looks").changes(&before).is_empty(), "the source is another one");
    assert_eq!(source.admin.value("SELECT count(*) FROM shop.orders").expect("asks"), Some("50".into()));
    assert_eq!((copy.pg, copy.left_out), (source.server.pg(), vec![("event trigger", 1)]));
    assert!(!copy.script.source.text().contains("private"), "a row is in the copy");

    let elsewhere = Shadow::start(&options()).expect("starts");
    let (db, refused) = elsewhere.prepared(std::slice::from_ref(&copy.script)).expect("loads");
    assert!(refused.is_empty(), "{refused:?}");
    let mut s = elsewhere.copy(&db).expect("a copy").helper().expect("a session");
    for (sql, answer) in [
        ("SELECT count(*) FROM shop.orders", "0"),
        ("SELECT obj_description('shop.orders'::regclass)", "what people buy"),
        ("SELECT has_table_privilege('dump_app', 'shop.orders', 'SELECT')", "t"),
        ("SELECT count(*) FROM pg_indexes WHERE schemaname = 'shop'", "2"),
        ("SELECT count(*) FROM pg_views WHERE schemaname = 'shop'", "1"),
    ] {
        assert_eq!(s.value(sql).expect(sql).as_deref(), Some(answer), "{sql}");
    }
}

#[test]
fn live_a_role_without_the_right_is_told_which_one() {
    let source = InUse::start();
    let Some(copy) = source.copy() else { return };
    let said = copy.err().expect("refused");
    assert!(said.contains("permission denied") && said.contains("pg_read_all_data"), "{said}");
}

#[test]
fn live_a_table_that_somebody_holds_is_not_waited_for() {
    let mut source = InUse::start();
    source.admin.run("GRANT pg_read_all_data TO dump_reader").expect("a right");
    source.admin.simple("BEGIN; LOCK TABLE shop.orders IN ACCESS EXCLUSIVE MODE").expect("holds it");
    let start = std::time::Instant::now();
    let Some(copy) = source.copy() else { return };
    let said = copy.err().expect("refused");
    assert!(said.contains("statement timeout") && said.contains("run it again"), "{said}");
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}

#[test]
fn another_program_is_led_by_its_environment_alone() {
    let source = Source::new("host=db.test user=me dbname=shop password=secret sslmode=require options='-c a=b'").expect("reads");
    let mut program = std::process::Command::new("pg_dump");
    source.server().lead(&mut program);
    let said = |name: &str| program.get_envs().find(|(n, _)| *n == name).and_then(|(_, v)| v?.to_str());
    assert_eq!(said("PGPASSWORD"), Some("secret"));
    assert_eq!(
        (said("PGHOST"), said("PGUSER"), said("PGDATABASE"), said("PGSSLMODE")),
        (Some("db.test"), Some("me"), Some("shop"), Some("require"))
    );
    let options = said("PGOPTIONS").expect("options");
    assert!(options.starts_with("-c a=b ") && options.contains("default_transaction_read_only=on"), "{options}");
    assert_eq!(program.get_args().count(), 0);
    assert!(!source.describe().contains("secret"));
}
