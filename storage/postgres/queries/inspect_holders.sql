-- What holds the horizon of this database: rows deleted since then can not be cleaned up.
SELECT 'transaction' AS kind,
       coalesce(nullif(a.application_name, ''), 'pid ' || a.pid) || ' (' || coalesce(a.usename, '?') || ', pid ' || a.pid
           || ', ' || coalesce(a.state, '?') || ')' AS name,
       date_part('epoch', clock_timestamp() - a.xact_start)::bigint AS age_s
FROM pg_catalog.pg_stat_activity a
WHERE a.datname = current_database() AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()
  AND a.xact_start < clock_timestamp() - $1::bigint * interval '1 s'
UNION ALL
SELECT 'prepared transaction', p.gid, date_part('epoch', clock_timestamp() - p.prepared)::bigint
FROM pg_catalog.pg_prepared_xacts p
WHERE p.database = current_database() AND p.prepared < clock_timestamp() - $1::bigint * interval '1 s'
UNION ALL
SELECT 'replication slot', s.slot_name::text, NULL
FROM pg_catalog.pg_replication_slots s
WHERE NOT s.active
ORDER BY age_s DESC NULLS LAST
LIMIT 20
