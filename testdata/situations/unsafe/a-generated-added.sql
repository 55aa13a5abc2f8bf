-- rule: add-stored-generated
-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int, note text, code varchar(10)); INSERT INTO orders SELECT n, n, n, 'note', 'c' || n FROM generate_series(1, 200) n;
ALTER TABLE orders ADD COLUMN doubled int GENERATED ALWAYS AS (total * 2) STORED;
