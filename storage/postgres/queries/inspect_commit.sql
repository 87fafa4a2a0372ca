-- Roles and databases that turn durable commits off for their own connections.
SELECT CASE WHEN s.setrole = 0 THEN 'every role' ELSE 'role ' || r.rolname END
           || CASE WHEN s.setdatabase = 0 THEN '' ELSE ' in database ' || d.datname END AS name
FROM pg_catalog.pg_db_role_setting s
CROSS JOIN LATERAL unnest(s.setconfig) c (setting)
LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
WHERE c.setting = 'synchronous_commit=off'
  AND (s.setdatabase = 0 OR d.datname = current_database())
ORDER BY name
LIMIT 20
