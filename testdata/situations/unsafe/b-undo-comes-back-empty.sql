-- rule: undo-loses-data
-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0, note text, code varchar(10)); INSERT INTO orders (id, customer_id, note, code) VALUES (1, 7, 'first', 'a');
-- undo: ALTER TABLE orders ADD COLUMN note text;
-- look: SELECT note FROM orders WHERE id = 1
ALTER TABLE orders DROP COLUMN note;
