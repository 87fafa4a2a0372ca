WITH recent AS MATERIALIZED (
    SELECT c.session_id FROM rowcall.command_log c WHERE c.xid >= $1::bigint LIMIT $2::bigint
), ranked AS MATERIALIZED (
    SELECT r.session_id, count(*) AS recent FROM recent r
    GROUP BY r.session_id ORDER BY count(*) DESC, r.session_id LIMIT $3::bigint
)
SELECT k.session_id, k.recent, greatest(coalesce(c.seq, 0) - coalesce(u.command_seq, 0), 0) AS pending,
       coalesce((date_part('epoch', clock_timestamp() - w.created_at) * 1000)::bigint, 0) AS oldest_ms,
       coalesce(u.seq, 0) AS last_update, coalesce(t.attempts, 0) AS attempts, coalesce(t.last_error, '') AS error,
       (SELECT count(*) FROM recent) AS looked_at
FROM ranked k
LEFT JOIN LATERAL (SELECT c.seq FROM rowcall.command_log c WHERE c.session_id = k.session_id ORDER BY c.seq DESC LIMIT 1) c ON true
LEFT JOIN LATERAL (SELECT u.seq, u.command_seq FROM rowcall.update_log u WHERE u.session_id = k.session_id
                   ORDER BY u.seq DESC LIMIT 1) u ON true
LEFT JOIN LATERAL (SELECT w.created_at FROM rowcall.command_log w
                   WHERE w.session_id = k.session_id AND w.seq = coalesce(u.command_seq, 0) + 1 LIMIT 1) w ON true
LEFT JOIN LATERAL (SELECT t.attempts, t.last_error FROM rowcall.retries t WHERE t.session_id = k.session_id LIMIT 1) t ON true
ORDER BY k.recent DESC, k.session_id
