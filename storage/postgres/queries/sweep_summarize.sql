SELECT CASE WHEN pg_has_role(c.relowner, 'USAGE') THEN brin_summarize_new_values(c.oid) END
FROM pg_catalog.pg_class c WHERE c.oid = 'rowcall.command_log_xid'::regclass
