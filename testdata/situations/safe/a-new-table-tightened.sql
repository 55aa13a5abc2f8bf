-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int, note text, code varchar(10)); INSERT INTO orders SELECT n, n, n, 'note', 'c' || n FROM generate_series(1, 200) n;
CREATE TABLE shops (id bigint PRIMARY KEY, size int);
ALTER TABLE shops ADD CONSTRAINT big CHECK (size > 0);
ALTER TABLE shops ALTER COLUMN size SET NOT NULL;
ALTER TABLE shops ALTER COLUMN size TYPE bigint;
