-- rule: tighten-unique
-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0, note text, code varchar(10)); INSERT INTO orders (id, customer_id, note, code) VALUES (1, 7, 'first', 'a');
-- old: INSERT INTO orders (id, code) VALUES (2, 'a') => 23505
ALTER TABLE orders ADD CONSTRAINT one_code UNIQUE (code);
