SELECT pg_snapshot_xmin(s.s)::text::bigint AS xmin, pg_snapshot_xmax(s.s)::text::bigint AS xmax,
       ARRAY(SELECT pg_snapshot_xip(s.s)::text) AS open_xids,
       -- A mark from the future was restored from another cluster: it says nothing here.
       (SELECT CASE WHEN w.xid < pg_snapshot_xmax(s.s)::text::bigint THEN w.xid ELSE 0 END FROM rowcall.sweep_watermark w) AS watermark
FROM pg_current_snapshot() s (s)
