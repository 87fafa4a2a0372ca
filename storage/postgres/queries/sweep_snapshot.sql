SELECT pg_snapshot_xmin(s.s)::text::bigint AS xmin, pg_snapshot_xmax(s.s)::text::bigint AS xmax,
       ARRAY(SELECT pg_snapshot_xip(s.s)::text) AS open_xids, rowcall.sweep_mark() AS mark,
       (SELECT w.moved_at < clock_timestamp() - interval '10 s' OR w.settled_xid >= pg_snapshot_xmax(s.s)::text::bigint
        FROM rowcall.sweep_watermark w) AS is_due
FROM pg_current_snapshot() s (s)
