SELECT 0 AS ord, 'n'::"char" AS part, NULL::bigint AS a, NULL::bigint AS b,
       '{' || current_setting('rowcall.turn') || '}' AS type, NULL::text AS data, rowcall.epoch_us(now()) AS at
UNION ALL
SELECT q.ord::integer, 'c', c.seq, NULL, c.type, c.data, c.at
FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY q (session_id, cursor, ord)
CROSS JOIN LATERAL (
    SELECT c.seq, c.type, c.data::text AS data, rowcall.epoch_us(c.created_at) AS at
    FROM rowcall.command_log c
    WHERE c.session_id = q.session_id AND c.seq > q.cursor
      AND NOT EXISTS (SELECT FROM rowcall.retries t WHERE t.session_id = q.session_id AND t.next_at > now())
    ORDER BY c.seq LIMIT $3::bigint) c
