WITH mark AS (
    SELECT CASE WHEN w.xid < pg_snapshot_xmax(pg_current_snapshot())::text::bigint THEN w.xid ELSE 0 END AS xid
    FROM rowcall.sweep_watermark w
), recent AS MATERIALIZED (
    SELECT c.session_id, c.seq, c.created_at FROM rowcall.command_log c
    WHERE c.xid >= (SELECT mark.xid FROM mark) LIMIT $1::bigint + 1
), cursors AS MATERIALIZED (
    SELECT d.session_id,
           coalesce((SELECT u.command_seq FROM rowcall.update_log u WHERE u.session_id = d.session_id
                     ORDER BY u.seq DESC LIMIT 1), 0) AS command_seq
    FROM (SELECT DISTINCT r.session_id FROM recent r) d
), pending AS MATERIALIZED (
    SELECT r.session_id, r.created_at FROM recent r JOIN cursors c ON c.session_id = r.session_id WHERE r.seq > c.command_seq
)
SELECT rowcall.epoch_us(clock_timestamp()) AS at, pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xid,
       (SELECT count(*) FROM pending) AS pending_commands,
       (SELECT count(DISTINCT p.session_id) FROM pending p) AS pending_sessions,
       (SELECT coalesce((date_part('epoch', clock_timestamp() - min(p.created_at)) * 1000)::bigint, 0) FROM pending p) AS oldest_ms,
       (SELECT count(*) FROM recent) <= $1::bigint AS is_exact,
       (SELECT count(*) FROM (SELECT FROM rowcall.retries LIMIT $1::bigint) r) AS retrying,
       (SELECT count(*) FROM (SELECT FROM rowcall.dead_letters d WHERE d.resolution IS NULL LIMIT $1::bigint) d) AS dead
