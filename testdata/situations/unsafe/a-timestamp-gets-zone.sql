-- rule: timestamp-type-depends-on-zone
-- setup: CREATE TABLE visits (id bigint PRIMARY KEY, at timestamp); INSERT INTO visits SELECT n, now() FROM generate_series(1, 100) n; SET timezone = 'Europe/Berlin';
ALTER TABLE visits ALTER COLUMN at TYPE timestamptz;
