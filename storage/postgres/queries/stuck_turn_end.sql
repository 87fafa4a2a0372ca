-- A node that was stopped while it copied rows: PostgreSQL waits for the rest and takes no timeout for it, as the transaction is not
-- idle, nor is a statement interrupted that reads from its client. Looked for only when a node is silent and still connected (it
-- holds its lock): then a COPY that waits for its client may be its own.
SELECT count(pg_terminate_backend(a.pid))
FROM pg_stat_activity a
WHERE EXISTS (SELECT FROM rowcall.nodes n
              WHERE n.stopped_at IS NULL AND n.heartbeat_at < clock_timestamp() - $1::bigint * interval '1 ms'
                AND n.heartbeat_at > clock_timestamp() - interval '1 hour'
                AND NOT pg_try_advisory_xact_lock_shared(1919120225, hashtext(n.node)))
  AND a.datname = current_database() AND a.usename = current_user AND a.state = 'active' AND a.wait_event = 'ClientRead'
  AND a.query_start < clock_timestamp() - $2::bigint * interval '1 ms'
  AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.relation = 'rowcall.shards'::regclass)
