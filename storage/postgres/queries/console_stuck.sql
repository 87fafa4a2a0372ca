WITH found AS MATERIALIZED (
    SELECT p.session_id, p.recent, p.since FROM rowcall.pending_sessions($1::bigint) p
), held AS MATERIALIZED (
    SELECT t.session_id, t.command_seq FROM rowcall.retries t LIMIT $1::bigint / 10
), waiting AS (
    SELECT f.session_id, f.since FROM found f WHERE f.since IS NOT NULL
    UNION ALL
    SELECT h.session_id, c.created_at FROM held h
    CROSS JOIN LATERAL (SELECT c.created_at FROM rowcall.command_log c
                        WHERE c.session_id = h.session_id AND c.seq = h.command_seq LIMIT 1) c
), ranked AS MATERIALIZED (
    SELECT w.session_id, min(w.since) AS since FROM waiting w
    GROUP BY w.session_id ORDER BY min(w.since), w.session_id LIMIT $2::bigint
)
SELECT k.session_id, 0::bigint AS recent, greatest(coalesce(c.seq, 0) - coalesce(u.command_seq, 0), 0) AS pending,
       (date_part('epoch', clock_timestamp() - k.since) * 1000)::bigint AS oldest_ms,
       coalesce(u.seq, 0) AS last_update, coalesce(t.attempts, 0) AS attempts, coalesce(t.last_error, '') AS error,
       (SELECT coalesce(sum(f.recent), 0)::bigint FROM found f) AS looked_at
FROM ranked k
LEFT JOIN LATERAL (SELECT c.seq FROM rowcall.command_log c WHERE c.session_id = k.session_id ORDER BY c.seq DESC LIMIT 1) c ON true
LEFT JOIN LATERAL (SELECT u.seq, u.command_seq FROM rowcall.update_log u WHERE u.session_id = k.session_id
                   ORDER BY u.seq DESC LIMIT 1) u ON true
LEFT JOIN LATERAL (SELECT t.attempts, t.last_error FROM rowcall.retries t WHERE t.session_id = k.session_id LIMIT 1) t ON true
ORDER BY k.since, k.session_id
