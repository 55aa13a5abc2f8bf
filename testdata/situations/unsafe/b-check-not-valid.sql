-- rule: tighten-check
-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0, note text, code varchar(10)); INSERT INTO orders (id, customer_id, note, code) VALUES (1, 7, 'first', 'a');
-- old: INSERT INTO orders (id, total) VALUES (2, 1) => 23514
ALTER TABLE orders ADD CONSTRAINT above_five CHECK (total > 5) NOT VALID;
