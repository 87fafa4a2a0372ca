-- Who else has joined under this name and lives: asked when its lock was not to be had. An engine holds it exclusively; a peer that
-- looks whether it lives shares it, for a moment. One that was silent for $2 ms counts as dead: what is left
-- is its connection. No row: it is about to join.
SELECT l.pid, coalesce(host(a.client_addr), '') AS address,
       (date_part('epoch', clock_timestamp() - n.heartbeat_at) * 1000)::bigint AS heartbeat_age_ms
FROM pg_catalog.pg_locks l
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
LEFT JOIN rowcall.nodes n ON n.node = $1::text
WHERE l.locktype = 'advisory' AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
  AND l.classid = 1919120225::oid AND l.objid = (hashtext($1::text)::bigint & 4294967295)::oid AND l.objsubid = 2
  AND l.mode = 'ExclusiveLock' AND l.granted AND l.pid <> pg_backend_pid()
  AND (n.node IS NULL OR (n.stopped_at IS NULL AND n.heartbeat_at >= clock_timestamp() - $2::bigint * interval '1 ms'))
LIMIT 1
