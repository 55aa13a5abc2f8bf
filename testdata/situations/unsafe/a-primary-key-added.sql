-- rule: add-primary-key-build
-- setup: CREATE TABLE shops (id bigint NOT NULL); INSERT INTO shops SELECT generate_series(1, 100);
ALTER TABLE shops ADD PRIMARY KEY (id);
