SELECT 0 AS ord, 'n'::"char" AS part, NULL::bigint AS a, NULL::bigint AS b,
       '{' || current_setting('rowcall.turn') || '}' AS type, NULL::text AS data,
       (date_part('epoch', now()) * 1000000)::bigint AS at
UNION ALL
SELECT f.ord::integer, (CASE WHEN f.n > $4::bigint OR (f.n > 1 AND f.bytes > $5::bigint) THEN 'x' ELSE 'c' END)::"char",
       f.seq, NULL, f.type, f.data, f.at
FROM (
    SELECT q.ord, c.seq, c.type, c.data, c.at, row_number() OVER w AS n, sum(octet_length(c.data)) OVER w AS bytes
    FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY q (session_id, cursor, ord)
    LEFT JOIN LATERAL (
        SELECT true AS waits FROM rowcall.retries r WHERE r.session_id = q.session_id AND r.next_at > now() LIMIT 1) r ON true
    CROSS JOIN LATERAL (
        SELECT c.seq, c.type, c.data::text AS data, (date_part('epoch', c.created_at) * 1000000)::bigint AS at
        FROM rowcall.command_log c
        WHERE c.session_id = q.session_id AND c.seq > q.cursor AND r.waits IS NULL
        ORDER BY c.seq LIMIT $3::bigint) c
    WINDOW w AS (ROWS UNBOUNDED PRECEDING)) f
WHERE f.n <= $4::bigint + 1 AND (f.n <= 2 OR f.bytes - octet_length(f.data) <= $5::bigint)
