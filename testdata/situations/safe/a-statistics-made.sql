-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int, note text, code varchar(10)); INSERT INTO orders SELECT n, n, n, 'note', 'c' || n FROM generate_series(1, 200) n;
CREATE STATISTICS orders_both ON total, code FROM orders;
ALTER TABLE orders ALTER COLUMN total SET STATISTICS 500;
ANALYZE orders;
