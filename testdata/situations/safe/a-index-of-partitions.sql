-- setup: CREATE TABLE events (id bigint NOT NULL, at date NOT NULL) PARTITION BY RANGE (at); CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01'); INSERT INTO events SELECT n, '2025-02-02' FROM generate_series(1, 100) n;
-- transaction: no
CREATE INDEX events_at ON ONLY events (at);
CREATE INDEX CONCURRENTLY events_1_at ON events_1 (at);
ALTER INDEX events_at ATTACH PARTITION events_1_at;
