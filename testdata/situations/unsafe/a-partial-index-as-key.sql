-- rule: using-index-ineligible
-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int, note text, code varchar(10)); INSERT INTO orders SELECT n, n, n, 'note', 'c' || n FROM generate_series(1, 200) n; CREATE UNIQUE INDEX some_codes ON orders (code) WHERE total > 5;
-- fails: 42809
ALTER TABLE orders ADD CONSTRAINT one_code UNIQUE USING INDEX some_codes;
