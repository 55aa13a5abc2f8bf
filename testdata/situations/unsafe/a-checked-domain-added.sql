-- rule: add-constrained-domain
-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int, note text, code varchar(10)); INSERT INTO orders SELECT n, n, n, 'note', 'c' || n FROM generate_series(1, 200) n; CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
ALTER TABLE orders ADD COLUMN mail email;
