-- rule: arbiter-lost
-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0, note text, code varchar(10)); INSERT INTO orders (id, customer_id, note, code) VALUES (1, 7, 'first', 'a'); CREATE UNIQUE INDEX one_code ON orders (code);
-- old: INSERT INTO orders (id, code) VALUES (2, 'a') ON CONFLICT (code) DO NOTHING => 42P10
DROP INDEX one_code;
CREATE UNIQUE INDEX one_code ON orders (code) WHERE total > 0;
