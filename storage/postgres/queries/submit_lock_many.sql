-- Sorted, so that submitters never wait for each other in a circle.
SELECT count(pg_advisory_xact_lock(1919120226, b.bucket))
FROM (SELECT DISTINCT hashtext(s) & 2047 AS bucket FROM unnest($1::text[]) s ORDER BY bucket OFFSET 0) b
