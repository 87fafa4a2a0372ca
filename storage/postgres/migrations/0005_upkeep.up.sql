-- The slow path: the sweep, retention, dead letters.

CREATE FUNCTION rowcall.sweep_open(from_xid bigint, open_xids bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    sweep_rows NO SCROLL CURSOR FOR
        SELECT c.session_id, c.xid FROM rowcall.command_log c
        WHERE c.xid >= from_xid OR c.xid = ANY (open_xids);
BEGIN
    OPEN sweep_rows;
END $$;
COMMENT ON FUNCTION rowcall.sweep_open IS
    'Opens the cursor sweep_rows over the commands that a sweep has not seen: of transactions that began later than its snapshot (from_xid is that snapshot''s xmax), or were open in it.';

CREATE FUNCTION rowcall.cleanup_chunk(after_session text, older_than interval, rows_max integer, sessions_max integer)
RETURNS TABLE (next_session text, commands bigint, updates bigint, snapshots bigint)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    cutoff timestamptz := now() - older_than;
    room integer := rows_max;
    visited integer := 0;
    n bigint;
    s record;
BEGIN
    commands := 0; updates := 0; snapshots := 0;
    -- Only sessions with a snapshot: without one a follower could not be told what is gone.
    FOR s IN
        SELECT DISTINCT ON (p.session_id) p.session_id, p.seq, p.command_seq FROM rowcall.snapshots p
        WHERE p.session_id > after_session ORDER BY p.session_id, p.seq DESC LIMIT sessions_max
    LOOP
        -- From the front of each log, so that what stays has no gap; the last row always stays.
        DELETE FROM rowcall.snapshots d WHERE d.ctid = ANY (ARRAY(
            SELECT x.ctid FROM rowcall.snapshots x
            WHERE x.session_id = s.session_id AND x.seq < s.seq AND x.created_at <= cutoff LIMIT room));
        GET DIAGNOSTICS n = ROW_COUNT;
        snapshots := snapshots + n; room := room - n;

        IF room > 0 AND (SELECT c.created_at <= cutoff FROM rowcall.command_log c WHERE c.session_id = s.session_id
                         ORDER BY c.seq LIMIT 1) THEN
            DELETE FROM rowcall.command_log d WHERE d.ctid = ANY (ARRAY(
                SELECT x.ctid FROM (
                    SELECT c.ctid, c.created_at FROM rowcall.command_log c
                    WHERE c.session_id = s.session_id AND c.seq <= s.command_seq
                      AND c.seq < (SELECT l.seq FROM rowcall.command_log l WHERE l.session_id = s.session_id
                                   ORDER BY l.seq DESC LIMIT 1)
                    ORDER BY c.seq LIMIT room) x
                WHERE x.created_at <= cutoff));
            GET DIAGNOSTICS n = ROW_COUNT;
            commands := commands + n; room := room - n;
        END IF;

        IF room > 0 AND (SELECT u.created_at <= cutoff FROM rowcall.update_log u WHERE u.session_id = s.session_id
                         ORDER BY u.seq LIMIT 1) THEN
            DELETE FROM rowcall.update_log d WHERE d.ctid = ANY (ARRAY(
                SELECT x.ctid FROM (
                    SELECT u.ctid, u.created_at FROM rowcall.update_log u
                    WHERE u.session_id = s.session_id AND u.seq <= s.seq
                      AND u.seq < (SELECT l.seq FROM rowcall.update_log l WHERE l.session_id = s.session_id
                                   ORDER BY l.seq DESC LIMIT 1)
                    ORDER BY u.seq LIMIT room) x
                WHERE x.created_at <= cutoff));
            GET DIAGNOSTICS n = ROW_COUNT;
            updates := updates + n; room := room - n;
        END IF;

        IF room <= 0 THEN
            next_session := after_session;  -- this session may have more
            RETURN NEXT;
            RETURN;
        END IF;
        after_session := s.session_id;
        visited := visited + 1;
    END LOOP;
    next_session := CASE WHEN visited = sessions_max THEN after_session END;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION rowcall.cleanup_chunk IS
    'Deletes at most rows_max rows that are processed, older, and below their session''s last snapshot; next_session is where to go on, NULL at the end. Domain tables are not touched.';

CREATE FUNCTION rowcall.redrive(session text, command bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    d record;
    new_seq bigint;
BEGIN
    SELECT * INTO d FROM rowcall.dead_letters l WHERE l.session_id = session AND l.command_seq = command FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no dead letter %/%', session, command USING ERRCODE = 'no_data_found';
    ELSIF d.resolution = 'dropped' THEN
        RAISE EXCEPTION 'the dead letter %/% was dropped', session, command USING ERRCODE = 'invalid_parameter_value';
    ELSIF d.resolution = 'redriven' THEN
        RETURN d.redriven_seq;
    END IF;
    SELECT b.seq INTO new_seq FROM rowcall.submit_batch(ARRAY[session], ARRAY[d.type], ARRAY[d.data::text],
        ARRAY['redrive:' || session || '/' || command], any_kind => true) b;
    UPDATE rowcall.dead_letters l SET resolution = 'redriven', resolved_at = now(), redriven_seq = new_seq
    WHERE l.session_id = session AND l.command_seq = command;
    RETURN new_seq;
END $$;
COMMENT ON FUNCTION rowcall.redrive IS 'Submits a parked command again, as a new one; a second call gives the same seq.';

CREATE FUNCTION rowcall.drop_dead_letter(session text, command bigint) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    d record;
BEGIN
    SELECT * INTO d FROM rowcall.dead_letters l WHERE l.session_id = session AND l.command_seq = command FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no dead letter %/%', session, command USING ERRCODE = 'no_data_found';
    ELSIF d.resolution = 'redriven' THEN
        RAISE EXCEPTION 'the dead letter %/% was redriven', session, command USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE rowcall.dead_letters l SET resolution = 'dropped', resolved_at = coalesce(l.resolved_at, now())
    WHERE l.session_id = session AND l.command_seq = command;
END $$;
COMMENT ON FUNCTION rowcall.drop_dead_letter IS 'Marks a parked command as done with. The row stays.';
