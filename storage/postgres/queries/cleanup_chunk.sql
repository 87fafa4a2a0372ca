-- Nothing while somebody else is at it: the lock ("rcrt") is one process's at a time. The CASE makes the call wait for it.
SELECT c.next_session, c.commands, c.updates, c.snapshots
FROM (SELECT pg_try_advisory_xact_lock(1919120994, 0) AS is_held OFFSET 0) l
CROSS JOIN LATERAL rowcall.cleanup_chunk(CASE WHEN l.is_held THEN $1::text END, $2::bigint * interval '1 s', $3::integer, $4::integer) c
WHERE l.is_held
