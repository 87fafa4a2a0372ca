-- compatible-from: previous
-- A turn on the command that its wake has brought.

CREATE FUNCTION rowcall.refuse_turn() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rowcall: the command of the wake is not what is pending' USING ERRCODE = 'serialization_failure';
END $$;
COMMENT ON FUNCTION rowcall.refuse_turn IS 'Rolls a turn back that was decided on a wrong hint; for engines only.';
