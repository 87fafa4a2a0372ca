SELECT n.node, n.kinds, n.version,
       (date_part('epoch', clock_timestamp() - n.heartbeat_at) * 1000)::bigint AS heartbeat_age_ms,
       date_part('epoch', clock_timestamp() - n.started_at)::bigint AS uptime_s,
       n.turns_per_s, n.commands_per_s,
       -- It holds this lock as long as its connection lasts. The node that asks would get its own.
       n.node = $2::text OR NOT pg_try_advisory_xact_lock_shared(1919120225, hashtext(n.node)) AS is_connected
FROM rowcall.nodes n
WHERE n.stopped_at IS NULL AND n.heartbeat_at > clock_timestamp() - $1::bigint * interval '1 ms'
ORDER BY n.started_at, n.node
