-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int, note text, code varchar(10)); INSERT INTO orders SELECT n, n, n, 'note', 'c' || n FROM generate_series(1, 200) n;
CREATE TEMPORARY TABLE work (id bigint, total int);
CREATE INDEX ON work (id);
ALTER TABLE work ALTER COLUMN total TYPE bigint;
