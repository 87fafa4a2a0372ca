CREATE OR REPLACE FUNCTION rowcall.submit_batch(
    session_ids text[], types text[], datas text[], keys text[] DEFAULT NULL, any_kind boolean DEFAULT false)
RETURNS TABLE (ord integer, seq bigint, outcome text)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    new_seq bigint;
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
        RETURNING command_log.seq INTO new_seq;
        IF NOT FOUND AND (any_kind OR EXISTS (SELECT FROM rowcall.kinds k WHERE k.kind = split_part(session_ids[1], '-', 1))) THEN
            INSERT INTO rowcall.sessions (session_id) VALUES (session_ids[1]) ON CONFLICT DO NOTHING;
            INSERT INTO rowcall.command_log (seq, session_id, type, data)
            VALUES (1, session_ids[1], types[1], datas[1]::jsonb) RETURNING command_log.seq INTO new_seq;
        END IF;
        ord := 1; seq := new_seq; outcome := CASE WHEN new_seq IS NULL THEN 'unknown_kind' ELSE 'stored' END;
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
        ), registered AS (
            INSERT INTO rowcall.sessions (session_id)
            SELECT n.session_id FROM numbered n WHERE n.first_last = 0
            ON CONFLICT DO NOTHING
        ), stored AS (
            INSERT INTO rowcall.command_log (seq, session_id, type, data)
            SELECT n.last + n.nth, n.session_id, n.type, n.data::jsonb FROM numbered n WHERE n.last >= 0
        )
        SELECT n.ord::integer, CASE WHEN n.last >= 0 THEN n.last + n.nth END,
               CASE WHEN n.last >= 0 THEN 'stored' ELSE 'unknown_kind' END
        FROM numbered n;
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
        ), registered AS (
            INSERT INTO rowcall.sessions (session_id)
            SELECT n.session_id FROM numbered n WHERE n.first_last = 0
            ON CONFLICT DO NOTHING
        ), stored AS (
            INSERT INTO rowcall.command_log (seq, session_id, type, idempotency_key, data)
            SELECT n.last + n.fresh_nth, n.session_id, n.type, n.key, n.data::jsonb
            FROM numbered n WHERE n.last >= 0 AND n.is_fresh
        )
        SELECT n.ord::integer,
               CASE WHEN n.last < 0 THEN NULL
                    WHEN n.known_seq IS NOT NULL THEN n.known_seq
                    WHEN n.is_fresh THEN n.last + n.fresh_nth
                    ELSE first_value(n.last + n.fresh_nth) OVER (PARTITION BY n.session_id, n.key ORDER BY n.ord) END,
               CASE WHEN n.last < 0 THEN 'unknown_kind' WHEN n.is_fresh THEN 'stored' ELSE 'duplicate' END
        FROM numbered n;
    END IF;
END $$;
COMMENT ON FUNCTION rowcall.submit_batch IS
    'Stores a batch; one row for each command: its place in the batch (from 1), its seq, and stored, duplicate (an idempotency key that was there: the first command''s seq), unknown_kind (refused) or busy (refused by admission; kept for it). After COMMIT publish a wake for each session, or leave it to the sweep.';

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
        RAISE EXCEPTION 'rowcall: too many pending commands, try again later' USING ERRCODE = 'configuration_limit_exceeded';
    END IF;
    RETURN r.seq;
END $$;
COMMENT ON FUNCTION rowcall.submit IS 'Stores one command and returns its seq; for people and scripts.';

DROP FUNCTION rowcall.retry_after_ms(text);
DROP FUNCTION rowcall.admits(text, bigint);
DROP FUNCTION rowcall.set_overload(integer);
DROP FUNCTION rowcall.overload_ms();
DROP TABLE rowcall.admission;
