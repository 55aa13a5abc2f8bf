-- rule: untracked-function-body
-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0, note text, code varchar(10)); INSERT INTO orders (id, customer_id, note, code) VALUES (1, 7, 'first', 'a'); CREATE FUNCTION all_notes() RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY SELECT note FROM orders; END $$;
-- old: SELECT * FROM all_notes() => 42703
ALTER TABLE orders RENAME COLUMN note TO remark;
