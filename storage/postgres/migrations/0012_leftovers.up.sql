-- compatible-from: previous
-- What a complete sweep leaves over does not hold its mark. Without this one command that waits for days (a kind that nobody serves, a
-- retry, a log that can not be folded) makes every new engine read all that was written since, and every count as well.

ALTER TABLE rowcall.sweep_watermark ADD COLUMN settled_xid bigint NOT NULL DEFAULT 0;
UPDATE rowcall.sweep_watermark SET settled_xid = xid;
COMMENT ON COLUMN rowcall.sweep_watermark.settled_xid IS
    'Every command of an older transaction is processed, or its session is in sweep_leftovers. Where a new node''s first sweep begins.';
COMMENT ON COLUMN rowcall.sweep_watermark.xid IS
    'Every command of an older transaction is processed: for engines that do not know settled_xid, and moved by them only.';

CREATE TABLE rowcall.sweep_leftovers (
    kept_at    timestamptz      NOT NULL DEFAULT clock_timestamp(),
    session_id text COLLATE "C" NOT NULL,
    CONSTRAINT sweep_leftovers_pk PRIMARY KEY (session_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE rowcall.sweep_leftovers IS
    'Sessions that were pending for longer than the sweep''s mark waits for. Some may be done already. Written by rowcall.sweep_settle only.';

CREATE FUNCTION rowcall.sweep_mark() RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN w.settled_xid < pg_snapshot_xmax(pg_current_snapshot())::text::bigint THEN w.settled_xid ELSE 0 END
    FROM rowcall.sweep_watermark w
$$;
COMMENT ON FUNCTION rowcall.sweep_mark IS
    'sweep_watermark.settled_xid, or 0 when it is from the future: then it was restored from another cluster, and says nothing here.';

CREATE FUNCTION rowcall.sweep_settle(mark bigint, leftovers text[], checked_to text) RETURNS text
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    old_mark bigint;
    checked text[];
BEGIN
    -- One node at a time, so that none takes away what another has just relied on. Who waits here finds the mark moved.
    SELECT CASE WHEN w.settled_xid < pg_snapshot_xmax(pg_current_snapshot())::text::bigint THEN w.settled_xid ELSE 0 END
    INTO old_mark FROM rowcall.sweep_watermark w
    WHERE w.moved_at < clock_timestamp() - interval '10 s'
       OR w.settled_xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO rowcall.sweep_leftovers (session_id) SELECT unnest(leftovers) ON CONFLICT DO NOTHING;
    SELECT array_agg(n.session_id ORDER BY n.session_id) INTO checked
    FROM (SELECT l.session_id FROM rowcall.sweep_leftovers l WHERE l.session_id > checked_to
          ORDER BY l.session_id LIMIT 1000) n;
    DELETE FROM rowcall.sweep_leftovers l
    WHERE l.session_id = ANY (checked)
      AND coalesce((SELECT c.seq FROM rowcall.command_log c WHERE c.session_id = l.session_id ORDER BY c.seq DESC LIMIT 1), 0)
          <= coalesce((SELECT u.command_seq FROM rowcall.update_log u WHERE u.session_id = l.session_id
                       ORDER BY u.seq DESC LIMIT 1), 0);
    UPDATE rowcall.sweep_watermark SET settled_xid = greatest(old_mark, mark), moved_at = clock_timestamp();
    RETURN coalesce(checked[1000], '');
END $$;
COMMENT ON FUNCTION rowcall.sweep_settle IS
    'For engines, after a complete sweep, every 10 s at most: moves the mark, keeps what is left over below it, and forgets, 1,000 at a time, what is done. Returns where to go on with that; NULL when it is not time yet.';

-- The one place that says what is pending, for all who count.
CREATE FUNCTION rowcall.pending_sessions(rows_max bigint)
RETURNS TABLE (session_id text, recent bigint, pending bigint, since timestamptz, is_all boolean)
LANGUAGE sql STABLE
SET enable_seqscan = off SET enable_bitmapscan = on SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
    WITH recent AS MATERIALIZED (
        SELECT c.session_id, c.seq FROM rowcall.command_log c
        WHERE c.xid >= (SELECT rowcall.sweep_mark()) LIMIT rows_max + 1
    ), leftovers AS MATERIALIZED (
        SELECT l.session_id FROM rowcall.sweep_leftovers l LIMIT rows_max + 1
    ), reach AS MATERIALIZED (
        SELECT (SELECT count(*) FROM recent) <= rows_max AND (SELECT count(*) FROM leftovers) <= rows_max AS is_all
    ), sessions AS MATERIALIZED (
        SELECT s.session_id, sum(s.recent)::bigint AS recent, max(s.last) AS last
        FROM (SELECT r.session_id, count(*) AS recent, max(r.seq) AS last FROM recent r GROUP BY r.session_id
              UNION ALL SELECT l.session_id, 0, NULL FROM leftovers l) s
        GROUP BY s.session_id
    )
    SELECT s.session_id, s.recent, greatest(coalesce(c.seq, s.last, 0) - coalesce(u.command_seq, 0), 0), f.created_at, reach.is_all
    FROM reach CROSS JOIN sessions s
    LEFT JOIN LATERAL (SELECT u.command_seq FROM rowcall.update_log u WHERE u.session_id = s.session_id
                       ORDER BY u.seq DESC LIMIT 1) u ON true
    -- Whoever has all recent commands has their last one too.
    LEFT JOIN LATERAL (SELECT c.seq FROM rowcall.command_log c
                       WHERE c.session_id = s.session_id AND (s.last IS NULL OR NOT reach.is_all)
                       ORDER BY c.seq DESC LIMIT 1) c ON true
    LEFT JOIN LATERAL (SELECT f.created_at FROM rowcall.command_log f
                       WHERE f.session_id = s.session_id AND f.seq > coalesce(u.command_seq, 0)
                         AND coalesce(c.seq, s.last) > coalesce(u.command_seq, 0)
                       ORDER BY f.seq LIMIT 1) f ON true
$$;
COMMENT ON FUNCTION rowcall.pending_sessions IS
    'The sessions with commands since the sweep''s mark (recent: how many of those were read) and those it left over: all their pending commands, wherever they lie, and since when the first one waits. Reads at most rows_max commands and as many leftovers; is_all: that was enough, so no session with pending commands is missing.';

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
    UPDATE rowcall.sweep_watermark SET xid = 0, settled_xid = 0, moved_at = clock_timestamp();
    RETURN made;
END $$;
