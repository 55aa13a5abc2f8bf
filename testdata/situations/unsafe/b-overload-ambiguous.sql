-- rule: function-overload-ambiguous
-- setup: CREATE FUNCTION price(a int DEFAULT 0) RETURNS int LANGUAGE sql AS 'SELECT a';
-- old: SELECT price() => 42725
CREATE FUNCTION price(a int DEFAULT 0, b int DEFAULT 0) RETURNS int LANGUAGE sql AS 'SELECT a + b';
