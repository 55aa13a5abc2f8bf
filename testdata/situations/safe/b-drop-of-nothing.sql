-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0, note text, code varchar(10)); INSERT INTO orders (id, customer_id, note, code) VALUES (1, 7, 'first', 'a');
-- old: SELECT id, customer_id, total, note, code FROM orders => ok
-- old: INSERT INTO orders (id, note) VALUES (2, 'x') => ok
-- undo: 
-- look: SELECT note FROM orders WHERE id = 1
ALTER TABLE orders DROP COLUMN IF EXISTS weight;
DROP TABLE IF EXISTS parcels;
