-- compatible-from: previous
-- The views of the logs take new commands and nothing else. Both are simple enough for PostgreSQL to pass an UPDATE or a DELETE on to
-- the log below; and when a session's last commands are deleted, later ones get their numbers, count as processed, and never run.

CREATE FUNCTION rowcall.refuse_change() RETURNS trigger
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RAISE EXCEPTION 'rowcall: the logs are append-only: retention is `rowcall cleanup`'
        USING ERRCODE = 'object_not_in_prerequisite_state',  -- as for any view that can not be changed
              HINT = CASE TG_OP WHEN 'INSERT' THEN 'Updates are written by engines: submit a command.'
                                ELSE 'Later commands would get the numbers of deleted ones, count as processed, and never run.' END;
END $$;
COMMENT ON FUNCTION rowcall.refuse_change IS 'Keeps rowcall.commands and rowcall.updates from being changed.';

CREATE TRIGGER commands_change INSTEAD OF UPDATE OR DELETE ON rowcall.commands
    FOR EACH ROW EXECUTE FUNCTION rowcall.refuse_change();
CREATE TRIGGER updates_change INSTEAD OF INSERT OR UPDATE OR DELETE ON rowcall.updates
    FOR EACH ROW EXECUTE FUNCTION rowcall.refuse_change();
