-- The first half of a turn.

CREATE FUNCTION rowcall.epoch_us(t timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT (date_part('epoch', t) * 1000000)::bigint $$;
COMMENT ON FUNCTION rowcall.epoch_us IS
    'Microseconds since 1970, exact until the year 2100: a double holds seconds to 0.24 us, the cast rounds.';

CREATE FUNCTION rowcall.node_died(name text) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
    SELECT n.stopped_at IS NULL
           AND (n.heartbeat_at < clock_timestamp() - interval '5 s'
                OR pg_try_advisory_xact_lock_shared(1919120225, hashtext(n.node)))
    FROM rowcall.nodes n WHERE n.node = name
$$;
COMMENT ON FUNCTION rowcall.node_died IS
    'True for a node that has ended without saying so. A living one holds an advisory lock on its name (class "rcna"), which PostgreSQL drops with its connection, so an engine that dies and is started again at once is noticed too; the heartbeat covers a node that was cut off.';

-- One round trip for `BEGIN; claim`. Two statements inside, because the fetch needs a snapshot younger than the locks:
-- in one statement it would not see what the shard's previous holder has just committed.
-- Rows, by `part`:
--   n  once: at = now(), type = shards that are locked, data = shards that were taken over from another owner
--   i  a session whose cursor was unknown or void: a = last update, b = last processed command
--   r  its row in retries: a = command, b = attempts, type = armed_by, data = last_error, at = wait in ms
--   k  tried with care up to a = command
--   s  its last snapshot: a = update, b = command, data
--   u  an update after that: a = seq, b = command, type, data, at
--   c  a pending command: a = seq, type, data, at
--   x  the bound on commands or bytes was met at this session: if it has commands there are more, if not it was not reached
--   y  the bound on bytes was met while loading this session's state: it and those after it were not reached
CREATE FUNCTION rowcall.turn_claim(
    node text, session_ids text[], session_shards integer[], cursor_commands bigint[], wants_state boolean[],
    per_session_max integer, commands_max integer, data_bytes_max bigint)
RETURNS TABLE (ord integer, part "char", a bigint, b bigint, type text, data text, at bigint)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    held integer[];
    taken integer[];
    is_suspect boolean;
    r record;
    commands integer := 0;
    bytes bigint := 0;
    seen bigint := 0;
    unknown integer[] := '{}';
    unknown_cursors bigint[] := '{}';
    images integer[] := '{}';
    last_image integer;
BEGIN
    SELECT array_agg(l.shard), array_agg(l.shard) FILTER (WHERE l.owner IS DISTINCT FROM turn_claim.node),
           bool_or(l.suspect_at IS NOT NULL)
    INTO held, taken, is_suspect
    FROM (SELECT s.shard, s.owner, s.suspect_at FROM rowcall.shards s WHERE s.shard = ANY (session_shards)
          ORDER BY s.shard FOR NO KEY UPDATE SKIP LOCKED) l;

    ord := 0; part := 'n'; at := rowcall.epoch_us(now()); type := held::text; data := taken::text;
    RETURN NEXT;
    IF held IS NULL THEN
        RETURN;
    END IF;

    IF taken IS NOT NULL THEN
        UPDATE rowcall.shards s
        SET owner = turn_claim.node, epoch = s.epoch + 1,
            suspect_at = CASE WHEN rowcall.node_died(s.owner) THEN clock_timestamp() ELSE s.suspect_at END
        WHERE s.shard = ANY (taken);
        SELECT bool_or(s.suspect_at IS NOT NULL) INTO is_suspect FROM rowcall.shards s WHERE s.shard = ANY (held);
        -- What this node knew of their sessions is void.
        SELECT array_agg(CASE WHEN q.shard = ANY (taken) THEN -1 ELSE q.cursor END ORDER BY q.ord) INTO cursor_commands
        FROM unnest(session_shards, cursor_commands) WITH ORDINALITY q (shard, cursor, ord);
    END IF;

    -- Nested loops over the arrays keep the order of the request; each LIMIT keeps its subquery an index probe.
    FOR r IN
        SELECT q.ord::integer AS ord, q.cursor < 0 AS is_unknown,
               coalesce(p.seq, 0) AS update_seq, coalesce(p.command_seq, 0) AS command_seq,
               t.command_seq AS retry_seq, t.attempts, t.last_error, t.armed_by, t.wait_ms,
               c.seq, c.type, c.data, c.at
        FROM unnest(session_ids, session_shards, cursor_commands) WITH ORDINALITY q (session_id, shard, cursor, ord)
        LEFT JOIN LATERAL (
            SELECT u.seq, u.command_seq FROM rowcall.update_log u
            WHERE q.cursor < 0 AND u.session_id = q.session_id ORDER BY u.seq DESC LIMIT 1) p ON true
        LEFT JOIN LATERAL (
            SELECT t.command_seq, t.attempts, t.last_error, t.armed_by,
                   greatest(0, ceil(date_part('epoch', t.next_at - now()) * 1000))::bigint AS wait_ms
            FROM rowcall.retries t WHERE t.session_id = q.session_id LIMIT 1) t ON true
        LEFT JOIN LATERAL (
            SELECT c.seq, c.type, c.data::text AS data, rowcall.epoch_us(c.created_at) AS at FROM rowcall.command_log c
            WHERE c.session_id = q.session_id
              AND c.seq > CASE WHEN q.cursor < 0 THEN coalesce(p.command_seq, 0) ELSE q.cursor END
              AND coalesce(t.wait_ms, 0) = 0
            ORDER BY c.seq LIMIT per_session_max) c ON true
        WHERE q.shard = ANY (held)
    LOOP
        IF r.seq IS NOT NULL AND (commands >= commands_max
                                  OR (commands > 0 AND bytes + octet_length(r.data) > data_bytes_max)) THEN
            ord := r.ord; part := 'x'; a := NULL; b := NULL; type := NULL; data := NULL; at := NULL;
            RETURN NEXT;
            EXIT;
        END IF;
        IF r.is_unknown AND seen <> r.ord THEN
            seen := r.ord;
            ord := r.ord; part := 'i'; a := r.update_seq; b := r.command_seq; type := NULL; data := NULL; at := NULL;
            RETURN NEXT;
            unknown := unknown || r.ord;
            unknown_cursors := unknown_cursors || r.command_seq;
            IF wants_state[r.ord] AND r.update_seq > 0 THEN
                images := images || r.ord;
            END IF;
            IF r.retry_seq IS NOT NULL THEN
                part := 'r'; a := r.retry_seq; b := r.attempts; type := r.armed_by; data := r.last_error; at := r.wait_ms;
                RETURN NEXT;
            END IF;
        END IF;
        IF r.seq IS NOT NULL THEN
            ord := r.ord; part := 'c'; a := r.seq; b := NULL; type := r.type; data := r.data; at := r.at;
            RETURN NEXT;
            commands := commands + 1;
            bytes := bytes + octet_length(r.data);
        END IF;
    END LOOP;

    IF is_suspect AND cardinality(unknown) > 0 THEN
        RETURN QUERY
        SELECT q.ord, 'k'::"char", c.seq, NULL::bigint, NULL, NULL, NULL::bigint
        FROM unnest(unknown, unknown_cursors) q (ord, cursor)
        CROSS JOIN LATERAL (SELECT s.suspect_at FROM rowcall.shards s
                            WHERE s.shard = session_shards[q.ord] AND s.suspect_at IS NOT NULL LIMIT 1) s
        CROSS JOIN LATERAL (SELECT c.seq FROM rowcall.command_log c
                            WHERE c.session_id = session_ids[q.ord] AND c.seq > q.cursor AND c.created_at <= s.suspect_at
                            ORDER BY c.seq DESC LIMIT 1) c;
    END IF;

    -- The shards are locked, so nobody appends to these logs meanwhile, and cleanup leaves what lies above a snapshot.
    IF cardinality(images) > 0 THEN
        bytes := 0;
        FOR r IN
            SELECT q.ord, x.*
            FROM unnest(images) q (ord)
            LEFT JOIN LATERAL (
                SELECT s.seq, s.command_seq, s.state FROM rowcall.snapshots s
                WHERE s.session_id = session_ids[q.ord] ORDER BY s.seq DESC LIMIT 1) s ON true
            CROSS JOIN LATERAL (
                (SELECT 's'::"char" AS part, s.seq AS a, s.command_seq AS b, NULL AS type, s.state::text AS data,
                        NULL::bigint AS at WHERE s.seq IS NOT NULL)
                UNION ALL
                (SELECT 'u', u.seq, u.command_seq, u.type, u.data::text, rowcall.epoch_us(u.created_at)
                 FROM rowcall.update_log u WHERE u.session_id = session_ids[q.ord] AND u.seq > coalesce(s.seq, 0)
                 ORDER BY u.seq)) x
        LOOP
            bytes := bytes + octet_length(r.data);
            IF bytes > data_bytes_max AND last_image <> r.ord THEN
                ord := r.ord; part := 'y'; a := NULL; b := NULL; type := NULL; data := NULL; at := NULL;
                RETURN NEXT;
                EXIT;
            END IF;
            last_image := r.ord;
            ord := r.ord; part := r.part; a := r.a; b := r.b; type := r.type; data := r.data; at := r.at;
            RETURN NEXT;
        END LOOP;
    END IF;
END $$;
COMMENT ON FUNCTION rowcall.turn_claim IS 'The claim of a turn, for engines only: locks shards, then fetches. Called inside BEGIN.';
