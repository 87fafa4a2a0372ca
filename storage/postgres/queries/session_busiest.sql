WITH mark AS (
    SELECT CASE WHEN w.xid < pg_snapshot_xmax(pg_current_snapshot())::text::bigint THEN w.xid ELSE 0 END AS xid
    FROM rowcall.sweep_watermark w
), recent AS MATERIALIZED (
    SELECT c.session_id, c.seq, c.created_at FROM rowcall.command_log c
    WHERE c.xid >= (SELECT mark.xid FROM mark) LIMIT $1::bigint
), ranked AS MATERIALIZED (
    SELECT r.session_id, count(*) AS recent FROM recent r
    GROUP BY r.session_id ORDER BY count(*) DESC, r.session_id LIMIT $2::bigint
)
SELECT k.session_id, k.recent, count(r.seq) AS pending,
       coalesce((date_part('epoch', clock_timestamp() - min(r.created_at)) * 1000)::bigint, 0) AS oldest_ms
FROM ranked k
LEFT JOIN LATERAL (SELECT u.command_seq FROM rowcall.update_log u WHERE u.session_id = k.session_id
                   ORDER BY u.seq DESC LIMIT 1) u ON true
LEFT JOIN recent r ON r.session_id = k.session_id AND r.seq > coalesce(u.command_seq, 0)
GROUP BY k.session_id, k.recent ORDER BY count(r.seq) DESC, k.recent DESC, k.session_id
