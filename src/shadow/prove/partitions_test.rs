//! Tables that become partitioned, and partitions that come and go.

use super::tests::proved_on;

const SCHEMA: &str = "CREATE ROLE calls_app; CREATE TABLE customers (id bigint PRIMARY KEY, email text NOT NULL); \
    CREATE TABLE calls (id bigserial PRIMARY KEY, customer bigint REFERENCES customers (id), at_day date NOT NULL DEFAULT '2024-02-03', kind text, loud text GENERATED ALWAYS AS (upper(kind)) STORED, \
    changed int NOT NULL DEFAULT 0); \
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := NEW.changed + 1; RETURN NEW; END $$; \
    CREATE TRIGGER calls_touch BEFORE UPDATE ON calls FOR EACH ROW EXECUTE FUNCTION touch(); \
    CREATE TABLE events (id bigint NOT NULL, at_day date NOT NULL, kind text, PRIMARY KEY (id, at_day)) PARTITION BY RANGE (at_day); \
    CREATE TABLE events_old PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('1990-01-01'); \
    CREATE TABLE events_new PARTITION OF events DEFAULT; \
    CREATE TABLE visits (id bigint NOT NULL, at_day date NOT NULL, kind text, PRIMARY KEY (id, at_day)) PARTITION BY RANGE (at_day); \
    CREATE INDEX visits_kind ON visits (kind); \
    CREATE TABLE visits_old PARTITION OF visits FOR VALUES FROM (MINVALUE) TO ('2200-01-01'); \
    CREATE TABLE visits_rest (id bigint NOT NULL, at_day date NOT NULL CHECK (at_day >= '2200-01-01'), kind text); \
    CREATE TABLE places (id bigint PRIMARY KEY, name text NOT NULL); \
    GRANT SELECT, INSERT, UPDATE, DELETE ON calls, customers, places TO calls_app;";

#[track_caller]
fn proved(sql: &str) {
    proved_on(SCHEMA, sql);
}

#[test]
fn a_table_that_becomes_partitioned_is_proved() {
    proved(
        "ALTER TABLE calls RENAME TO calls_plain; \
         CREATE TABLE calls (id bigint NOT NULL DEFAULT nextval('calls_id_seq'), customer bigint REFERENCES customers (id), at_day date NOT NULL DEFAULT '2024-02-03', \
         kind text, loud text GENERATED ALWAYS AS (upper(kind)) STORED, changed int NOT NULL DEFAULT 0, PRIMARY KEY (id, at_day)) PARTITION BY RANGE (at_day); \
         ALTER SEQUENCE calls_id_seq OWNED BY calls.id; GRANT SELECT, INSERT, UPDATE, DELETE ON calls TO calls_app; \
         CREATE TABLE calls_old PARTITION OF calls FOR VALUES FROM (MINVALUE) TO ('2000-01-01'); CREATE TABLE calls_new PARTITION OF calls DEFAULT; \
         CREATE INDEX calls_kind ON calls (kind); COMMENT ON TABLE calls IS 'by day'; \
         INSERT INTO calls (id, customer, at_day, kind, changed) SELECT id, customer, at_day, kind, changed FROM calls_plain; DROP TABLE calls_plain; \
         CREATE TRIGGER calls_touch BEFORE UPDATE ON calls FOR EACH ROW EXECUTE FUNCTION touch();",
    );
}

#[test]
fn a_partitioned_table_that_takes_the_name_at_last_is_proved() {
    proved(
        "CREATE TABLE places_parts (LIKE places INCLUDING ALL) PARTITION BY HASH (id); \
         CREATE TABLE places_0 PARTITION OF places_parts FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
         CREATE TABLE places_1 PARTITION OF places_parts FOR VALUES WITH (MODULUS 2, REMAINDER 1); \
         GRANT SELECT, INSERT, UPDATE, DELETE ON places_parts TO calls_app; \
         INSERT INTO places_parts SELECT * FROM places; DROP TABLE places; ALTER TABLE places_parts RENAME TO places;",
    );
}

#[test]
fn a_table_that_is_attached_under_its_name_is_proved() {
    proved(
        "ALTER TABLE calls RENAME TO calls_first; \
         CREATE TABLE calls (id bigint NOT NULL DEFAULT nextval('calls_id_seq'), customer bigint REFERENCES customers (id), at_day date NOT NULL DEFAULT '2024-02-03', \
         kind text, loud text GENERATED ALWAYS AS (upper(kind)) STORED, changed int NOT NULL DEFAULT 0) PARTITION BY RANGE (at_day); \
         CREATE INDEX calls_kind ON calls (kind); GRANT SELECT, INSERT, UPDATE, DELETE ON calls TO calls_app; \
         ALTER TABLE calls ATTACH PARTITION calls_first FOR VALUES FROM (MINVALUE) TO ('4000-01-01'); ALTER SEQUENCE calls_id_seq OWNED BY calls.id; \
         CREATE TABLE calls_far PARTITION OF calls FOR VALUES FROM ('4000-01-01') TO ('4100-01-01');",
    );
    proved(
        "ALTER TABLE places RENAME TO places_all; CREATE TABLE places (LIKE places_all INCLUDING ALL) PARTITION BY RANGE (id); \
         GRANT SELECT, INSERT, UPDATE, DELETE ON places TO calls_app; ALTER TABLE places ATTACH PARTITION places_all DEFAULT;",
    );
}

#[test]
fn a_new_partition_beside_the_default_one_is_proved() {
    proved("CREATE TABLE events_far PARTITION OF events FOR VALUES FROM ('4000-01-01') TO ('5000-01-01');");
}

#[test]
fn a_table_that_becomes_a_partition_is_proved() {
    proved("ALTER TABLE visits ATTACH PARTITION visits_rest FOR VALUES FROM ('2200-01-01') TO (MAXVALUE);");
}

#[test]
fn a_partition_that_goes_is_proved() {
    proved("ALTER TABLE visits DETACH PARTITION visits_old;");
    proved("ALTER TABLE events DETACH PARTITION events_new;");
}

#[test]
fn a_key_of_a_partitioned_table_is_proved() {
    proved("ALTER TABLE visits ADD CONSTRAINT visits_once UNIQUE (id, at_day, kind);");
    if super::super::tests::options().pg.0 >= 18 {
        return;
    }
    proved(
        "ALTER TABLE visits ALTER COLUMN kind SET NOT NULL; ALTER TABLE visits DROP CONSTRAINT visits_pkey; ALTER TABLE visits ADD PRIMARY KEY (kind, id, at_day);",
    );
}
