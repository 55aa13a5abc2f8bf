-- setup: CREATE TABLE customers (id bigint PRIMARY KEY); INSERT INTO customers VALUES (7); CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0, note text, code varchar(10)); INSERT INTO orders (id, customer_id, note, code) VALUES (1, 7, 'first', 'a'); ALTER TABLE orders ADD CONSTRAINT to_customer FOREIGN KEY (customer_id) REFERENCES customers;
-- old: SELECT id, customer_id, total, note, code FROM orders => ok
-- old: INSERT INTO orders (id, customer_id) VALUES (2, 7) => ok
ALTER TABLE orders DROP CONSTRAINT to_customer;
ALTER TABLE orders ADD CONSTRAINT to_customer FOREIGN KEY (customer_id) REFERENCES customers NOT VALID;
