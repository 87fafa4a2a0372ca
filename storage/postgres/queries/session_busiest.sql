SELECT p.session_id, p.recent, p.pending,
       coalesce((date_part('epoch', clock_timestamp() - p.since) * 1000)::bigint, 0) AS oldest_ms
FROM rowcall.pending_sessions($1::bigint) p
ORDER BY p.pending DESC, p.recent DESC, p.session_id LIMIT $2::bigint
