-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int, note text, code varchar(10)); INSERT INTO orders SELECT n, n, n, 'note', 'c' || n FROM generate_series(1, 200) n; CREATE MATERIALIZED VIEW totals AS SELECT id, total FROM orders; CREATE UNIQUE INDEX totals_id ON totals (id);
REFRESH MATERIALIZED VIEW CONCURRENTLY totals;
