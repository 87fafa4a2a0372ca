SELECT 0 AS ord, 'n'::"char" AS part, NULL::bigint AS a, NULL::bigint AS b,
       '{' || current_setting('rowcall.turn') || '}' AS type, NULL::text AS data,
       rowcall.epoch_us(now()) AS at
UNION ALL
(SELECT q.ord::integer, e.part, e.a, e.b, e.type, e.data, e.at
 FROM unnest($1::text[], $2::integer[], $3::bigint[]) WITH ORDINALITY q (session_id, shard, cursor, ord)
 LEFT JOIN LATERAL (
     SELECT u.seq, u.command_seq FROM rowcall.update_log u
     WHERE q.cursor < 0 AND u.session_id = q.session_id ORDER BY u.seq DESC LIMIT 1) p ON true
 LEFT JOIN LATERAL (
     SELECT r.command_seq, r.attempts, r.last_error, r.armed_by,
            greatest(0, ceil(date_part('epoch', r.next_at - now()) * 1000))::bigint AS wait_ms
     FROM rowcall.retries r WHERE r.session_id = q.session_id LIMIT 1) r ON true
 CROSS JOIN LATERAL (
     SELECT 'i'::"char" AS part, coalesce(p.seq, 0) AS a, coalesce(p.command_seq, 0) AS b, NULL::text AS type,
            NULL::text AS data, NULL::bigint AS at
     WHERE q.cursor < 0
     UNION ALL
     SELECT 'r', r.command_seq, r.attempts, r.armed_by, r.last_error, r.wait_ms
     WHERE q.cursor < 0 AND r.command_seq IS NOT NULL
     UNION ALL
     (SELECT 'k', c.seq, NULL, NULL, NULL, NULL
      FROM rowcall.shards s CROSS JOIN LATERAL (
          SELECT c.seq FROM rowcall.command_log c
          WHERE c.session_id = q.session_id AND c.seq > coalesce(p.command_seq, 0) AND c.created_at <= s.suspect_at
          ORDER BY c.seq DESC LIMIT 1) c
      WHERE q.cursor < 0 AND s.shard = q.shard
        AND s.shard = ANY ((SELECT string_to_array(current_setting('rowcall.suspects'), ','))::integer[]))
     UNION ALL
     SELECT CASE WHEN octet_length(c.data) <= $6::bigint THEN 'c'::"char" ELSE 'w' END, c.seq, NULL, c.type,
            CASE WHEN octet_length(c.data) <= $6::bigint THEN c.data END, c.at
     FROM (SELECT c.seq, c.type, c.data::text AS data, rowcall.epoch_us(c.created_at) AS at
           FROM rowcall.command_log c
           WHERE c.session_id = q.session_id AND coalesce(r.wait_ms, 0) = 0
             AND c.seq > CASE WHEN q.cursor < 0 THEN coalesce(p.command_seq, 0) ELSE q.cursor END
           ORDER BY c.seq LIMIT $4::bigint) c) e
 WHERE strpos(current_setting('rowcall.turn'), 'other') = 0
 LIMIT $5::bigint)
