-- setup: CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE days (m mood);
-- transaction: false
-- old: INSERT INTO days VALUES ('good') => ok
ALTER TYPE mood ADD VALUE IF NOT EXISTS 'good';
