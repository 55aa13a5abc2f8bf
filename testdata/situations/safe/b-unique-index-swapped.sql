-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0, note text, code varchar(10)); INSERT INTO orders (id, customer_id, note, code) VALUES (1, 7, 'first', 'a'); CREATE UNIQUE INDEX one_code ON orders (code);
-- old: INSERT INTO orders (id, code) VALUES (2, 'a') ON CONFLICT (code) DO NOTHING => ok
CREATE UNIQUE INDEX one_code_too ON orders (code);
DROP INDEX one_code;
