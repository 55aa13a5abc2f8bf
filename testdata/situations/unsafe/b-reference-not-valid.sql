-- rule: tighten-foreign-key
-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0, note text, code varchar(10)); INSERT INTO orders (id, customer_id, note, code) VALUES (1, 7, 'first', 'a'); CREATE TABLE customers (id bigint PRIMARY KEY);
-- old: INSERT INTO orders (id, customer_id) VALUES (2, 99) => 23503
ALTER TABLE orders ADD CONSTRAINT to_customer FOREIGN KEY (customer_id) REFERENCES customers NOT VALID;
