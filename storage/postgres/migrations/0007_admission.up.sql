-- compatible-from: previous
-- Admission: bounds on what is pending, checked where commands are stored.
--
-- A session's bound is looked at with every 64th of its commands only (`seq & 63 = 0`, a gate): a gate that does not open
-- stays the session's next seq, so nothing passes it. The bound on all sessions together is a function that the engines
-- redefine: PostgreSQL inlines it into the plans of submitters and plans anew when it changes, so reading it costs nothing.

CREATE TABLE rowcall.admission (
    only_row            boolean     NOT NULL DEFAULT true,
    session_pending_max bigint      NOT NULL DEFAULT 0,
    pending_max         bigint      NOT NULL DEFAULT 0,
    changed_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT admission_pk PRIMARY KEY (only_row),
    CONSTRAINT admission_one_row CHECK (only_row),
    CONSTRAINT admission_bounds_positive CHECK (session_pending_max >= 0 AND pending_max >= 0)
);
COMMENT ON TABLE rowcall.admission IS
    'The bounds on pending commands, 0 = none, as the engine that started last was told (serve --session-pending-max, --pending-max).';
INSERT INTO rowcall.admission DEFAULT VALUES;

-- STABLE and not IMMUTABLE: an immutable call is folded into a plan without a trace, an inlined one is remembered as what
-- the plan depends on.
CREATE FUNCTION rowcall.overload_ms() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT 0';
COMMENT ON FUNCTION rowcall.overload_ms IS
    '0, or while more commands are pending than pending_max: after how many ms to try again. Redefined by rowcall.set_overload.';

CREATE FUNCTION rowcall.set_overload(ms integer) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1919120225, 0);  -- two at a time would fail: tuple concurrently updated
    IF ms IS DISTINCT FROM rowcall.overload_ms() THEN
        EXECUTE format('CREATE OR REPLACE FUNCTION rowcall.overload_ms() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS %L',
                       'SELECT ' || ms);
    END IF;
END $$;
COMMENT ON FUNCTION rowcall.set_overload IS
    'For engines: closes (ms > 0) or opens (0) the way in for all sessions. Needs the rights of the schema''s owner, hence SECURITY DEFINER.';
REVOKE EXECUTE ON FUNCTION rowcall.set_overload(integer) FROM PUBLIC;

CREATE FUNCTION rowcall.admits(session text, command bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    bound bigint;
BEGIN
    SELECT a.session_pending_max INTO bound FROM rowcall.admission a WHERE a.only_row;
    RETURN bound IS NULL OR bound = 0
        OR command - coalesce((SELECT u.command_seq FROM rowcall.update_log u WHERE u.session_id = admits.session
                               ORDER BY u.seq DESC LIMIT 1), 0) <= bound;
END $$;
COMMENT ON FUNCTION rowcall.admits IS 'True when command `command` of the session would be within the session''s bound.';

CREATE FUNCTION rowcall.retry_after_ms(session text) RETURNS integer
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    last_command bigint;
    bound bigint;
    u record;
    earlier record;
    excess bigint;
    ms double precision := 1000;
BEGIN
    SELECT c.seq INTO last_command FROM rowcall.command_log c WHERE c.session_id = session ORDER BY c.seq DESC LIMIT 1;
    SELECT a.session_pending_max INTO bound FROM rowcall.admission a WHERE a.only_row;
    SELECT l.seq, l.command_seq, l.created_at INTO u FROM rowcall.update_log l WHERE l.session_id = session
    ORDER BY l.seq DESC LIMIT 1;
    IF last_command IS NULL OR coalesce(bound, 0) = 0 THEN
        RETURN rowcall.overload_ms();
    END IF;
    excess := last_command + 1 - coalesce(u.command_seq, 0) - bound;
    IF excess <= 0 THEN
        RETURN rowcall.overload_ms();
    END IF;
    IF u.seq IS NOT NULL THEN
        -- At its recent pace, or, when it has been standing still for longer, that long again.
        SELECT l.command_seq, l.created_at INTO earlier FROM rowcall.update_log l
        WHERE l.session_id = session AND l.seq > u.seq - 1000 ORDER BY l.seq LIMIT 1;
        ms := greatest(date_part('epoch', u.created_at - earlier.created_at) * 1000 * excess / (u.command_seq - earlier.command_seq + 1),
                       date_part('epoch', clock_timestamp() - u.created_at) * 1000);
    END IF;
    RETURN greatest(least(greatest(ms, 20), 60000)::integer, rowcall.overload_ms());
END $$;
COMMENT ON FUNCTION rowcall.retry_after_ms IS
    'After how many ms a refused command of the session has a chance; an estimate from its pace. 0: now.';

CREATE OR REPLACE FUNCTION rowcall.submit_batch(
    session_ids text[], types text[], datas text[], keys text[] DEFAULT NULL, any_kind boolean DEFAULT false)
RETURNS TABLE (ord integer, seq bigint, outcome text)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    new_seq bigint;
    is_open boolean := rowcall.overload_ms() = 0 OR any_kind;  -- what the engine itself sends is always admitted
BEGIN
    -- Under a snapshot of the whole transaction the statements below would not see what was committed while this one
    -- waited for its locks.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'rowcall: commands are submitted at isolation level READ COMMITTED, this transaction is at %',
            upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'invalid_transaction_state',
                  HINT = 'Start the transaction with BEGIN ISOLATION LEVEL READ COMMITTED.';
    END IF;

    -- One command of a known session, the most frequent case.
    IF keys IS NULL AND cardinality(session_ids) = 1 THEN
        PERFORM pg_advisory_xact_lock(1919120226, hashtext(session_ids[1]) & 2047);
        INSERT INTO rowcall.command_log (seq, session_id, type, data)
        SELECT l.seq + 1, l.session_id, types[1], datas[1]::jsonb
        FROM (SELECT c.seq, c.session_id FROM rowcall.command_log c WHERE c.session_id = session_ids[1]
              ORDER BY c.seq DESC LIMIT 1) l
        WHERE is_open AND (l.seq & 63 < 63 OR any_kind OR rowcall.admits(l.session_id, l.seq + 1))
        RETURNING command_log.seq INTO new_seq;
        IF FOUND THEN
            outcome := 'stored';
        ELSIF EXISTS (SELECT FROM rowcall.command_log c WHERE c.session_id = session_ids[1] LIMIT 1) THEN
            outcome := 'busy';
        ELSIF NOT any_kind AND NOT EXISTS (SELECT FROM rowcall.kinds k WHERE k.kind = split_part(session_ids[1], '-', 1)) THEN
            outcome := 'unknown_kind';
        ELSIF NOT is_open THEN
            outcome := 'busy';
        ELSE
            INSERT INTO rowcall.sessions (session_id) VALUES (session_ids[1]) ON CONFLICT DO NOTHING;
            INSERT INTO rowcall.command_log (seq, session_id, type, data)
            VALUES (1, session_ids[1], types[1], datas[1]::jsonb) RETURNING command_log.seq INTO new_seq;
            outcome := 'stored';
        END IF;
        ord := 1; seq := new_seq;
        RETURN NEXT;
        RETURN;
    END IF;
    IF cardinality(session_ids) > 1 THEN
        -- Sorted, so that submitters never wait for each other in a circle.
        PERFORM pg_advisory_xact_lock(1919120226, b.bucket)
        FROM (SELECT DISTINCT hashtext(s) & 2047 AS bucket FROM unnest(session_ids) s ORDER BY bucket OFFSET 0) b;
    ELSE
        PERFORM pg_advisory_xact_lock(1919120226, hashtext(session_ids[1]) & 2047);
    END IF;

    -- From here on each statement has a snapshot that is younger than the locks.
    -- `last` is probed once for each session, on its first row: 0 = a new session, -1 = a kind that nobody serves.
    -- `closed`: the first gate that refuses, of each session that has met one. NULL as a rule, and then it costs nothing.
    IF keys IS NULL THEN
        RETURN QUERY
        WITH numbered AS MATERIALIZED (
            SELECT p.ord, p.session_id, p.type, p.data, p.nth, p.first_last,
                   max(p.first_last) OVER (PARTITION BY p.session_id) AS last
            FROM (SELECT r.*, CASE WHEN r.nth = 1 THEN coalesce(
                             (SELECT c.seq FROM rowcall.command_log c WHERE c.session_id = r.session_id
                              ORDER BY c.seq DESC LIMIT 1),
                             CASE WHEN any_kind OR EXISTS (SELECT FROM rowcall.kinds k
                                                           WHERE k.kind = split_part(r.session_id, '-', 1))
                                  THEN 0 ELSE -1 END) END AS first_last
                  FROM (SELECT q.*, row_number() OVER (PARTITION BY q.session_id ORDER BY q.ord) AS nth
                        FROM unnest(session_ids, types, datas) WITH ORDINALITY q (session_id, type, data, ord)) r
                  OFFSET 0) p  -- kept apart: merged into the outer query, each probe would be made twice
        ), closed AS MATERIALIZED (
            SELECT jsonb_object_agg(g.session_id, g.seq) AS gates
            FROM (SELECT n.session_id, min(n.last + n.nth) AS seq FROM numbered n
                  WHERE (n.last + n.nth) & 63 = 0 AND NOT any_kind AND NOT rowcall.admits(n.session_id, n.last + n.nth)
                  GROUP BY n.session_id) g
        ), registered AS (
            INSERT INTO rowcall.sessions (session_id)
            SELECT n.session_id FROM numbered n WHERE n.first_last = 0 AND is_open
            ON CONFLICT DO NOTHING
        ), stored AS (
            INSERT INTO rowcall.command_log (seq, session_id, type, data)
            SELECT n.last + n.nth, n.session_id, n.type, n.data::jsonb FROM numbered n
            WHERE n.last >= 0 AND is_open
              AND coalesce(n.last + n.nth < ((SELECT c.gates FROM closed c) ->> n.session_id)::bigint, true)
        )
        SELECT a.ord::integer, a.answer,
               CASE WHEN a.answer IS NOT NULL THEN 'stored' WHEN a.last < 0 THEN 'unknown_kind' ELSE 'busy' END
        FROM (SELECT n.ord, n.last,
                     CASE WHEN n.last >= 0 AND is_open
                               AND coalesce(n.last + n.nth < ((SELECT c.gates FROM closed c) ->> n.session_id)::bigint, true)
                          THEN n.last + n.nth END AS answer
              FROM numbered n OFFSET 0) a;
    ELSE
        RETURN QUERY
        WITH probed AS MATERIALIZED (
            SELECT r.*,
                   CASE WHEN r.nth = 1 THEN coalesce(
                        (SELECT c.seq FROM rowcall.command_log c WHERE c.session_id = r.session_id
                         ORDER BY c.seq DESC LIMIT 1),
                        CASE WHEN any_kind OR EXISTS (SELECT FROM rowcall.kinds k
                                                      WHERE k.kind = split_part(r.session_id, '-', 1))
                             THEN 0 ELSE -1 END) END AS first_last,
                   CASE WHEN r.key IS NOT NULL THEN
                        (SELECT c.seq FROM rowcall.command_log c
                         WHERE c.session_id = r.session_id AND c.idempotency_key = r.key) END AS known_seq
            FROM (SELECT q.*, row_number() OVER (PARTITION BY q.session_id ORDER BY q.ord) AS nth,
                         q.key IS NULL OR row_number() OVER (PARTITION BY q.session_id, q.key ORDER BY q.ord) = 1 AS key_is_first
                  FROM unnest(session_ids, types, datas, keys) WITH ORDINALITY q (session_id, type, data, key, ord)) r
        ), numbered AS MATERIALIZED (
            SELECT p.*, p.known_seq IS NULL AND p.key_is_first AS is_fresh,
                   max(p.first_last) OVER (PARTITION BY p.session_id) AS last,
                   count(*) FILTER (WHERE p.known_seq IS NULL AND p.key_is_first)
                       OVER (PARTITION BY p.session_id ORDER BY p.ord) AS fresh_nth
            FROM probed p
        ), closed AS MATERIALIZED (
            SELECT jsonb_object_agg(g.session_id, g.seq) AS gates
            FROM (SELECT n.session_id, min(n.last + n.fresh_nth) AS seq FROM numbered n
                  WHERE n.is_fresh AND (n.last + n.fresh_nth) & 63 = 0 AND NOT any_kind
                    AND NOT rowcall.admits(n.session_id, n.last + n.fresh_nth)
                  GROUP BY n.session_id) g
        ), registered AS (
            INSERT INTO rowcall.sessions (session_id)
            SELECT n.session_id FROM numbered n WHERE n.first_last = 0 AND is_open
            ON CONFLICT DO NOTHING
        ), stored AS (
            INSERT INTO rowcall.command_log (seq, session_id, type, idempotency_key, data)
            SELECT n.last + n.fresh_nth, n.session_id, n.type, n.key, n.data::jsonb FROM numbered n
            WHERE n.last >= 0 AND n.is_fresh AND is_open
              AND coalesce(n.last + n.fresh_nth < ((SELECT c.gates FROM closed c) ->> n.session_id)::bigint, true)
        )
        -- A key that is there twice in the batch has the fate of its first command.
        SELECT a.ord::integer, a.answer,
               CASE WHEN a.last < 0 THEN 'unknown_kind' WHEN a.answer IS NULL THEN 'busy'
                    WHEN a.is_fresh THEN 'stored' ELSE 'duplicate' END
        FROM (SELECT n.ord, n.last, n.is_fresh,
                     CASE WHEN n.last < 0 THEN NULL
                          WHEN n.known_seq IS NOT NULL THEN n.known_seq
                          WHEN n.is_fresh THEN n.fresh_seq
                          ELSE first_value(n.fresh_seq) OVER (PARTITION BY n.session_id, n.key ORDER BY n.ord) END AS answer
              FROM (SELECT n.*, CASE WHEN is_open AND coalesce(n.last + n.fresh_nth < ((SELECT c.gates FROM closed c) ->> n.session_id)::bigint, true)
                                     THEN n.last + n.fresh_nth END AS fresh_seq
                    FROM numbered n) n) a;
    END IF;
END $$;
COMMENT ON FUNCTION rowcall.submit_batch IS
    'Stores a batch; one row for each command: its place in the batch (from 1), its seq, and stored, duplicate (an idempotency key that was there: the first command''s seq), unknown_kind (refused) or busy (refused: too much is pending; rowcall.retry_after_ms says when to try again). After COMMIT publish a wake for each session, or leave it to the sweep.';

CREATE OR REPLACE FUNCTION rowcall.submit(session_id text, type text, data jsonb, idempotency_key text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    r record;
BEGIN
    SELECT * INTO r FROM rowcall.submit_batch(ARRAY[session_id], ARRAY[type], ARRAY[data::text],
        CASE WHEN idempotency_key IS NULL THEN NULL ELSE ARRAY[idempotency_key] END);
    IF r.outcome = 'unknown_kind' THEN
        RAISE EXCEPTION 'rowcall: no engine has ever served the kind "%" of session "%"', split_part(session_id, '-', 1), session_id
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF r.outcome = 'busy' THEN
        RAISE EXCEPTION 'rowcall: busy, too many commands are pending'
            USING ERRCODE = 'configuration_limit_exceeded',
                  HINT = 'Try again in ' || rowcall.retry_after_ms(session_id) || ' ms.';
    END IF;
    RETURN r.seq;
END $$;
