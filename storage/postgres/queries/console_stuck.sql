WITH mark AS (
    SELECT CASE WHEN w.xid < pg_snapshot_xmax(pg_current_snapshot())::text::bigint THEN w.xid ELSE 0 END AS xid
    FROM rowcall.sweep_watermark w
), recent AS MATERIALIZED (
    SELECT c.session_id, c.seq, c.created_at FROM rowcall.command_log c
    WHERE c.xid >= (SELECT mark.xid FROM mark) LIMIT $1::bigint
), cursors AS MATERIALIZED (
    SELECT d.session_id,
           coalesce((SELECT u.command_seq FROM rowcall.update_log u WHERE u.session_id = d.session_id
                     ORDER BY u.seq DESC LIMIT 1), 0) AS command_seq
    FROM (SELECT DISTINCT r.session_id FROM recent r) d
), held AS MATERIALIZED (
    SELECT t.session_id, t.command_seq FROM rowcall.retries t LIMIT $1::bigint / 10
), waiting AS (
    SELECT r.session_id, r.created_at FROM recent r JOIN cursors c ON c.session_id = r.session_id WHERE r.seq > c.command_seq
    UNION ALL
    SELECT h.session_id, c.created_at FROM held h
    CROSS JOIN LATERAL (SELECT c.created_at FROM rowcall.command_log c
                        WHERE c.session_id = h.session_id AND c.seq = h.command_seq LIMIT 1) c
), ranked AS MATERIALIZED (
    SELECT w.session_id, min(w.created_at) AS since FROM waiting w
    GROUP BY w.session_id ORDER BY min(w.created_at), w.session_id LIMIT $2::bigint
)
SELECT k.session_id, 0::bigint AS recent, greatest(coalesce(c.seq, 0) - coalesce(u.command_seq, 0), 0) AS pending,
       (date_part('epoch', clock_timestamp() - k.since) * 1000)::bigint AS oldest_ms,
       coalesce(u.seq, 0) AS last_update, coalesce(t.attempts, 0) AS attempts, coalesce(t.last_error, '') AS error,
       (SELECT count(*) FROM recent) AS looked_at
FROM ranked k
LEFT JOIN LATERAL (SELECT c.seq FROM rowcall.command_log c WHERE c.session_id = k.session_id ORDER BY c.seq DESC LIMIT 1) c ON true
LEFT JOIN LATERAL (SELECT u.seq, u.command_seq FROM rowcall.update_log u WHERE u.session_id = k.session_id
                   ORDER BY u.seq DESC LIMIT 1) u ON true
LEFT JOIN LATERAL (SELECT t.attempts, t.last_error FROM rowcall.retries t WHERE t.session_id = k.session_id LIMIT 1) t ON true
ORDER BY k.since, k.session_id
