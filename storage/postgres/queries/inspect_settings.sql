SELECT s.name, s.value
FROM (VALUES
    ('version_num', current_setting('server_version_num')),
    ('version', current_setting('server_version')),
    ('is_standby', pg_is_in_recovery()::text),
    ('encoding', pg_catalog.getdatabaseencoding()::text),
    ('fsync', current_setting('fsync')),
    ('full_page_writes', current_setting('full_page_writes')),
    -- What a connection starts with, by the server's, the database's and the role's settings; ours then sets it on.
    ('synchronous_commit', (SELECT p.reset_val FROM pg_catalog.pg_settings p WHERE p.name = 'synchronous_commit')),
    ('autovacuum', current_setting('autovacuum')),
    ('track_counts', current_setting('track_counts')),
    ('connections_max', (current_setting('max_connections')::integer
                         - current_setting('superuser_reserved_connections')::integer
                         - coalesce(current_setting('reserved_connections', true), '0')::integer)::text),
    ('connections_used', (SELECT count(*)::text FROM pg_catalog.pg_stat_activity a WHERE a.backend_type = 'client backend')),
    ('role_connections_max', (SELECT r.rolconnlimit::text FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)),
    ('role_connections_used', (SELECT count(*)::text FROM pg_catalog.pg_stat_activity a
                               WHERE a.backend_type = 'client backend' AND a.usename = current_user)),
    ('xid_age', (SELECT max(age(d.datfrozenxid))::text FROM pg_catalog.pg_database d)),
    ('multixact_age', (SELECT max(mxid_age(d.datminmxid))::text FROM pg_catalog.pg_database d)),
    ('sees_all', (pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
                  OR (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user))::text)
) s (name, value)
