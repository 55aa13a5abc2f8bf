-- rule: not-null-proof-dropped-together
-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int, note text, code varchar(10)); INSERT INTO orders SELECT n, n, n, 'note', 'c' || n FROM generate_series(1, 200) n; ALTER TABLE orders ADD CONSTRAINT has_note CHECK (note IS NOT NULL);
ALTER TABLE orders ALTER COLUMN note SET NOT NULL, DROP CONSTRAINT has_note;
