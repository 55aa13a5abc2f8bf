-- rule: primary-key-nullable
-- setup: CREATE TABLE shops (id bigint); INSERT INTO shops SELECT generate_series(1, 100); CREATE UNIQUE INDEX shops_id ON shops (id);
ALTER TABLE shops ADD PRIMARY KEY USING INDEX shops_id;
