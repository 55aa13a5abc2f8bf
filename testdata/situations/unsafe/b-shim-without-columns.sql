-- rule: rename-shim-incomplete
-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0, note text, code varchar(10)); INSERT INTO orders (id, customer_id, note, code) VALUES (1, 7, 'first', 'a');
-- old: INSERT INTO orders (id, note) VALUES (2, 'x') => 42703
ALTER TABLE orders RENAME TO purchases;
CREATE VIEW orders AS SELECT id, total FROM purchases;
