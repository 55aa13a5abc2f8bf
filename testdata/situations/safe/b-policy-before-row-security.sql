-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0, note text, code varchar(10)); INSERT INTO orders (id, customer_id, note, code) VALUES (1, 7, 'first', 'a');
-- old: SELECT id, customer_id, total, note, code FROM orders => ok
-- old: INSERT INTO orders (id, note) VALUES (2, 'x') => ok
CREATE POLICY all_rows ON orders USING (total >= 0) WITH CHECK (total >= 0);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders FORCE ROW LEVEL SECURITY;
