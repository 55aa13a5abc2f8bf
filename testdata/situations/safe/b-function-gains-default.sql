-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0, note text, code varchar(10)); INSERT INTO orders (id, customer_id, note, code) VALUES (1, 7, 'first', 'a'); CREATE FUNCTION price(a int) RETURNS int LANGUAGE sql AS 'SELECT a';
-- old: SELECT price(1) => ok
DROP FUNCTION price(int);
CREATE FUNCTION price(a int, b int DEFAULT 0) RETURNS int LANGUAGE sql AS 'SELECT a + b';
