-- rule: set-not-null-old-writers
-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0, note text, code varchar(10)); INSERT INTO orders (id, customer_id, note, code) VALUES (1, 7, 'first', 'a');
-- old: INSERT INTO orders (id) VALUES (2) => 23502
-- old: UPDATE orders SET note = NULL WHERE id = 1 => 23502
ALTER TABLE orders ALTER COLUMN note SET NOT NULL;
