//! The schema as text (`airlock schema --format sql`), loaded by a server, is the schema that the statements make.

use super::snapshot::Snapshot;
use super::*;
use crate::catalog::Catalog;
use crate::history::{Execution, Send};
use crate::op::PgVersion;

/// What is easily lost on the way through operations and catalog.
const SCHEMA: &str = "
CREATE TABLE public.t (id int PRIMARY KEY, a text, b tsvector, n int);
CREATE INDEX t_b ON public.t USING gist (b tsvector_ops (siglen = 100));
CREATE INDEX t_a ON public.t (lower(a) COLLATE \"C\" text_pattern_ops DESC);
CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER search BEFORE INSERT OR UPDATE OF a ON public.t FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger('b', 'pg_catalog.english', 'a');
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON public.t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.audit('it''s', 3);
CREATE TRIGGER moved AFTER UPDATE ON public.t REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION public.audit();
CREATE FUNCTION public.f(x int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 7 AS 'SELECT x + $1';
CREATE FUNCTION public.g() RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER FUNCTION public.g() SECURITY DEFINER STABLE STRICT SET search_path = pg_catalog, pg_temp COST 9;
CREATE VIEW public.v AS SELECT id, n FROM public.t WHERE n > 0 WITH LOCAL CHECK OPTION;
";

#[test]
fn the_schema_as_text_makes_the_same_schema() {
    let shadow = Shadow::start(&super::tests::options()).expect("starts");
    let written = shadow.database().expect("database");
    written.connect().expect("session").run(SCHEMA).expect("loads");
    let mut catalog = Catalog::new(PgVersion(super::tests::options().pg.0));
    let execution = Execution::new(true, Send::Statement);
    crate::replay::apply(&crate::lower::lower_text(SCHEMA), &execution, &mut catalog);
    let text = catalog.to_sql();
    let rendered = shadow.database().expect("database");
    rendered.connect().expect("session").run(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let changes = Snapshot::take(&written).expect("snapshot").changes(&Snapshot::take(&rendered).expect("snapshot"));
    assert!(changes.is_empty(), "{}\n{text}", changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}
