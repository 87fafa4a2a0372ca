UPDATE rowcall.sweep_watermark SET xid = $1::bigint, moved_at = clock_timestamp()
WHERE (xid < $1::bigint AND moved_at < clock_timestamp() - interval '10 s')
   OR xid > pg_snapshot_xmax(pg_current_snapshot())::text::bigint
