-- setup: CREATE TABLE things (kind text CONSTRAINT kinds CHECK (kind IN ('a', 'b'))); INSERT INTO things VALUES ('a');
-- old: INSERT INTO things VALUES ('b') => ok
ALTER TABLE things DROP CONSTRAINT kinds;
ALTER TABLE things ADD CONSTRAINT kinds CHECK (kind IN ('a', 'b', 'c'));
