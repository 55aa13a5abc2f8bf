-- rule: rename-enum-value
-- setup: CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE days (m mood);
-- old: INSERT INTO days VALUES ('good') => 22P02
ALTER TYPE mood RENAME VALUE 'good' TO 'fine';
