-- rule: enum-value-used-in-same-transaction
-- setup: CREATE TYPE mood AS ENUM ('glad', 'sad'); CREATE TABLE people (id bigint PRIMARY KEY, feels mood); INSERT INTO people VALUES (1, 'sad');
-- fails: 55P04
ALTER TYPE mood ADD VALUE 'calm';
UPDATE people SET feels = 'calm' WHERE id = 1;
