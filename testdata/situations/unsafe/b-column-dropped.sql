-- rule: drop-column
-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0, note text, code varchar(10)); INSERT INTO orders (id, customer_id, note, code) VALUES (1, 7, 'first', 'a');
-- old: SELECT note FROM orders => 42703
-- old: UPDATE orders SET note = 'x' WHERE id = 1 => 42703
ALTER TABLE orders DROP COLUMN note;
