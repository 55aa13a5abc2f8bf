-- rule: concurrently-in-transaction
-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int, note text, code varchar(10)); INSERT INTO orders SELECT n, n, n, 'note', 'c' || n FROM generate_series(1, 200) n;
-- fails: 25001
CREATE INDEX CONCURRENTLY orders_total ON orders (total);
