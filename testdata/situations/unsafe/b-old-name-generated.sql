-- rule: rename-old-name-generated
-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0, note text, code varchar(10)); INSERT INTO orders (id, customer_id, note, code) VALUES (1, 7, 'first', 'a');
-- old: INSERT INTO orders (id, note) VALUES (2, 'x') => 428C9
-- old: SELECT note FROM orders => ok
ALTER TABLE orders RENAME COLUMN note TO remark;
ALTER TABLE orders ADD COLUMN note text GENERATED ALWAYS AS (remark) STORED;
