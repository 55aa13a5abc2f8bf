-- rule: attach-scans-default
-- setup: CREATE TABLE events (id bigint NOT NULL, at date NOT NULL) PARTITION BY RANGE (at); CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01'); INSERT INTO events SELECT n, '2025-02-02' FROM generate_series(1, 100) n; CREATE TABLE events_rest PARTITION OF events DEFAULT; INSERT INTO events SELECT n, '2030-02-02' FROM generate_series(1, 100) n;
CREATE TABLE events_2 (LIKE events);
ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
