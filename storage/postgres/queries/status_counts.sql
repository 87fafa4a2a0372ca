WITH found AS MATERIALIZED (
    SELECT p.session_id, p.pending, p.since, p.is_all FROM rowcall.pending_sessions($1::bigint) p
), pending AS MATERIALIZED (
    SELECT f.pending, f.since, split_part(f.session_id, '-', 1) AS kind FROM found f WHERE f.pending > 0
), served AS (
    SELECT DISTINCT unnest(n.kinds) AS kind FROM rowcall.nodes n
    WHERE n.stopped_at IS NULL AND n.heartbeat_at > clock_timestamp() - interval '5 s'
), known AS (
    SELECT count(*) AS count FROM (SELECT FROM rowcall.sessions LIMIT $1::bigint + 1) s
)
SELECT CASE WHEN known.count > $1::bigint
            THEN greatest(known.count, (SELECT c.reltuples::bigint FROM pg_catalog.pg_class c
                                        WHERE c.oid = 'rowcall.sessions'::regclass))
            ELSE known.count END AS sessions,
       (SELECT coalesce(sum(p.pending), 0)::bigint FROM pending p) AS pending_commands,
       (SELECT count(*) FROM pending) AS pending_sessions,
       (SELECT count(*) FROM rowcall.retries) AS retrying,
       (SELECT count(*) FROM rowcall.dead_letters d WHERE d.resolution IS NULL) AS dead,
       (SELECT coalesce(sum(p.pending), 0)::bigint FROM pending p
        WHERE NOT EXISTS (SELECT FROM served s WHERE s.kind = p.kind)) AS unserved,
       (SELECT coalesce(array_agg(k.kind), '{}') FROM (
            SELECT DISTINCT p.kind FROM pending p WHERE NOT EXISTS (SELECT FROM served s WHERE s.kind = p.kind)
            ORDER BY p.kind LIMIT $2::bigint) k) AS unserved_kinds,
       (SELECT coalesce((date_part('epoch', clock_timestamp() - min(p.since)) * 1000)::bigint, 0) FROM pending p) AS oldest_ms,
       (SELECT coalesce(bool_and(f.is_all), true) FROM found f) AS is_exact,
       coalesce((SELECT max(m.version) FROM rowcall.migrations m), 0) AS schema_version
FROM known
