-- compatible-from: previous
-- What an additive migration may do: new columns with defaults, new tables and functions, a function made anew with the same
-- signature. Old binaries name their columns and do not see it.
ALTER TABLE rowcall.command_log ADD COLUMN priority smallint NOT NULL DEFAULT 0;
ALTER TABLE rowcall.update_log ADD COLUMN note text;
CREATE TABLE rowcall.notes (
    note_id bigint NOT NULL,
    CONSTRAINT notes_pk PRIMARY KEY (note_id)
);
COMMENT ON TABLE rowcall.notes IS 'Of the next version.';
CREATE INDEX update_log_note ON rowcall.update_log (note) WHERE note IS NOT NULL;
COMMENT ON INDEX rowcall.update_log_note IS 'Of the next version.';
CREATE OR REPLACE FUNCTION rowcall.epoch_us(t timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT (extract(epoch FROM t) * 1000000)::bigint $$;
