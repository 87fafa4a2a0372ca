-- compatible-from: previous
-- The database's identity over restores, and what a rolling upgrade needs to know of the engines.

CREATE TABLE rowcall.incarnation (
    only_row    boolean     NOT NULL DEFAULT true,
    made_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    incarnation text        NOT NULL DEFAULT gen_random_uuid(),
    CONSTRAINT incarnation_pk PRIMARY KEY (only_row),
    CONSTRAINT incarnation_one_row CHECK (only_row)
);
COMMENT ON TABLE rowcall.incarnation IS
    'Changes when an older state of the database is restored (rowcall.mark_restored): a seq of another incarnation means nothing here. Followers then take the snapshot, engines start anew.';
INSERT INTO rowcall.incarnation DEFAULT VALUES;

ALTER TABLE rowcall.nodes ADD COLUMN schema_version integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN rowcall.nodes.schema_version IS
    'The newest schema that the engine''s binary knows; 0: one older than this column. A migration that it could not live with is refused while it runs.';

CREATE FUNCTION rowcall.node_is_connected(name text) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    -- A living engine holds this lock ("rcna"); whoever gets it, for a moment, knows that it does not live.
    IF pg_try_advisory_lock(1919120225, hashtext(name)) THEN
        PERFORM pg_advisory_unlock(1919120225, hashtext(name));
        RETURN false;
    END IF;
    RETURN true;
END $$;
COMMENT ON FUNCTION rowcall.node_is_connected IS 'True while some connection holds the node''s advisory lock.';

CREATE FUNCTION rowcall.mark_restored() RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    alive text;
    made text;
BEGIN
    SELECT string_agg(n.node, ', ') INTO alive FROM rowcall.nodes n
    WHERE n.stopped_at IS NULL AND n.heartbeat_at > clock_timestamp() - interval '5 s' AND rowcall.node_is_connected(n.node);
    IF alive IS NOT NULL THEN
        RAISE EXCEPTION 'engines are running: %', alive
            USING ERRCODE = 'object_in_use', HINT = 'Stop them: they may remember what is not true any more.';
    END IF;
    UPDATE rowcall.incarnation SET incarnation = gen_random_uuid(), made_at = clock_timestamp() RETURNING incarnation INTO made;
    -- The engines of the backup's time did not die in the middle of something: no need for care.
    UPDATE rowcall.nodes SET stopped_at = clock_timestamp() WHERE stopped_at IS NULL;
    UPDATE rowcall.shards SET suspect_at = NULL WHERE suspect_at IS NOT NULL;
    -- Transaction ids of another cluster (a restored dump): every sweep would take the rows for new.
    UPDATE rowcall.command_log SET xid = 0 WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint;
    UPDATE rowcall.sweep_watermark SET xid = 0, moved_at = clock_timestamp();
    RETURN made;
END $$;
COMMENT ON FUNCTION rowcall.mark_restored IS
    'To be called once after a restore, before engines start: gives the database a new incarnation and returns it. `rowcall restored` does it.';
