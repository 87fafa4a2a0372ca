SELECT rowcall.epoch_us(clock_timestamp()) AS at, pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xid,
       coalesce(sum(p.pending), 0)::bigint AS pending_commands,
       count(*) FILTER (WHERE p.pending > 0) AS pending_sessions,
       coalesce((date_part('epoch', clock_timestamp() - min(p.since)) * 1000)::bigint, 0) AS oldest_ms,
       coalesce(bool_and(p.is_all), true) AS is_exact,
       (SELECT count(*) FROM (SELECT FROM rowcall.retries LIMIT $1::bigint) r) AS retrying,
       (SELECT count(*) FROM (SELECT FROM rowcall.dead_letters d WHERE d.resolution IS NULL LIMIT $1::bigint) d) AS dead
FROM rowcall.pending_sessions($1::bigint) p
