-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int, note text, code varchar(10)); INSERT INTO orders SELECT n, n, n, 'note', 'c' || n FROM generate_series(1, 200) n;
CREATE TABLE shops (id bigint PRIMARY KEY, name text);
CREATE INDEX shops_name ON shops (name);
