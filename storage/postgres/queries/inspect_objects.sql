-- What is there in schema rowcall, for a comparison with what the migrations make.
SELECT CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END AS kind, c.relname::text AS name, true AS is_valid,
       NOT coalesce((SELECT o.option_value::boolean FROM pg_options_to_table(c.reloptions) o
                     WHERE o.option_name = 'autovacuum_enabled'), true) AS autovacuum_is_off
FROM pg_catalog.pg_class c WHERE c.relnamespace = to_regnamespace('rowcall') AND c.relkind IN ('r', 'p', 'v')
UNION ALL
SELECT 'index', c.relname, i.indisvalid AND i.indisready, false
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
WHERE c.relnamespace = to_regnamespace('rowcall')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 'constraint', k.conname,
       k.convalidated AND coalesce((SELECT i.indisvalid AND i.indisready FROM pg_catalog.pg_index i WHERE i.indexrelid = k.conindid), true),
       false
FROM pg_catalog.pg_constraint k WHERE k.connamespace = to_regnamespace('rowcall') AND k.conrelid <> 0
UNION ALL
SELECT DISTINCT 'function', p.proname, true, false FROM pg_catalog.pg_proc p WHERE p.pronamespace = to_regnamespace('rowcall')
UNION ALL
SELECT 'trigger', t.tgname, t.tgenabled <> 'D', false
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = to_regnamespace('rowcall') AND NOT t.tgisinternal
