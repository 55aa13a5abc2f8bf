-- rule: foreign-key-not-valid
-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int, note text, code varchar(10)); INSERT INTO orders SELECT n, n, n, 'note', 'c' || n FROM generate_series(1, 200) n; CREATE TABLE customers (id bigint PRIMARY KEY, name text); INSERT INTO customers SELECT n, 'x' FROM generate_series(1, 200) n;
ALTER TABLE orders ADD CONSTRAINT of_customer FOREIGN KEY (customer_id) REFERENCES customers (id);
