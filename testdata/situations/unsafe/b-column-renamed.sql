-- rule: rename-column
-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0, note text, code varchar(10)); INSERT INTO orders (id, customer_id, note, code) VALUES (1, 7, 'first', 'a');
-- old: UPDATE orders SET note = 'x' WHERE id = 1 => 42703
ALTER TABLE orders RENAME COLUMN note TO remark;
