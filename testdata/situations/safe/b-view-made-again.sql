-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0, note text, code varchar(10)); INSERT INTO orders (id, customer_id, note, code) VALUES (1, 7, 'first', 'a'); CREATE VIEW notes AS SELECT id, note FROM orders;
-- old: SELECT id, note FROM notes => ok
DROP VIEW notes;
CREATE VIEW notes AS SELECT id, note FROM orders WHERE total >= 0;
