-- setup: CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total int NOT NULL DEFAULT 0, note text, code varchar(10)); INSERT INTO orders (id, customer_id, note, code) VALUES (1, 7, 'first', 'a');
-- old: SELECT id, customer_id, total, note, code FROM orders => ok
-- old: INSERT INTO orders (id, note) VALUES (2, 'x') => ok
ALTER TABLE orders ADD COLUMN remark text;
CREATE FUNCTION keep_notes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF TG_OP = 'INSERT' THEN NEW.remark := coalesce(NEW.remark, NEW.note); NEW.note := coalesce(NEW.note, NEW.remark); ELSIF NEW.note IS DISTINCT FROM OLD.note THEN NEW.remark := NEW.note; ELSIF NEW.remark IS DISTINCT FROM OLD.remark THEN NEW.note := NEW.remark; END IF; RETURN NEW; END $$;
CREATE TRIGGER keep_notes BEFORE INSERT OR UPDATE ON orders FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION keep_notes();
UPDATE orders SET remark = note WHERE id BETWEEN 1 AND 1000 AND remark IS NULL;
