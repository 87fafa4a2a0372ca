CREATE OR REPLACE FUNCTION rowcall.mark_restored() RETURNS text
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
DROP FUNCTION rowcall.pending_sessions, rowcall.sweep_settle, rowcall.sweep_mark;
DROP TABLE rowcall.sweep_leftovers;
ALTER TABLE rowcall.sweep_watermark DROP COLUMN settled_xid;
COMMENT ON COLUMN rowcall.sweep_watermark.xid IS NULL;
