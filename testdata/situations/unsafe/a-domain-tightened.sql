-- rule: domain-constraint-locks-users
-- setup: CREATE DOMAIN mail AS text; CREATE TABLE people (id bigint PRIMARY KEY, address mail); INSERT INTO people SELECT n, 'a@b' FROM generate_series(1, 100) n;
ALTER DOMAIN mail ADD CONSTRAINT has_at CHECK (VALUE LIKE '%@%');
