-- compatible-from: previous
-- Dealing with dead letters without the owner's rights. By rights on tables alone, whoever may redrive could submit any command
-- and rewrite any dead letter. So the two functions get the rights, and docs/operations/roles.sql says who may call them.

ALTER FUNCTION rowcall.redrive(text, bigint) SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION rowcall.drop_dead_letter(text, bigint) SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
REVOKE EXECUTE ON FUNCTION rowcall.redrive(text, bigint), rowcall.drop_dead_letter(text, bigint) FROM PUBLIC;
COMMENT ON FUNCTION rowcall.redrive IS
    'Submits a parked command again, as a new one; a second call gives the same seq. For operators; has the rights of the schema''s owner, hence SECURITY DEFINER.';
COMMENT ON FUNCTION rowcall.drop_dead_letter IS
    'Marks a parked command as done with. The row stays. For operators; has the rights of the schema''s owner, hence SECURITY DEFINER.';
