-- What people and other languages see: reading functions and the two views.

CREATE FUNCTION rowcall.updates_after(session_id text, after bigint, max_rows integer DEFAULT 1000)
RETURNS TABLE (seq bigint, command_seq bigint, type text, data jsonb, created_at timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT u.seq, u.command_seq, u.type, u.data, u.created_at
    FROM rowcall.update_log u
    WHERE u.session_id = updates_after.session_id AND u.seq > updates_after.after
    ORDER BY u.seq
    LIMIT updates_after.max_rows
$$;
COMMENT ON FUNCTION rowcall.updates_after IS
    'A session''s updates after a seq, in order. A first row other than after + 1 means that retention removed what lay between: take the snapshot.';

CREATE FUNCTION rowcall.updates_of(session text, command bigint)
RETURNS TABLE (seq bigint, command_seq bigint, type text, data jsonb, created_at timestamptz)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    low bigint;
    high bigint;
    middle bigint;
    probe record;
BEGIN
    SELECT u.seq, u.command_seq INTO probe FROM rowcall.update_log u
    WHERE u.session_id = updates_of.session ORDER BY u.seq DESC LIMIT 1;
    IF NOT FOUND OR probe.command_seq < updates_of.command THEN
        RETURN;  -- pending
    END IF;
    -- Both seqs rise together and a command has at least one update, so the first update of command N is at N or later.
    low := updates_of.command;
    high := probe.seq;
    WHILE low < high LOOP
        middle := (low + high) / 2;
        SELECT u.command_seq INTO probe FROM rowcall.update_log u
        WHERE u.session_id = updates_of.session AND u.seq >= middle ORDER BY u.seq LIMIT 1;
        IF probe.command_seq < updates_of.command THEN
            low := middle + 1;
        ELSE
            high := middle;
        END IF;
    END LOOP;
    FOR seq, command_seq, type, data, created_at IN
        SELECT u.seq, u.command_seq, u.type, u.data, u.created_at FROM rowcall.update_log u
        WHERE u.session_id = updates_of.session AND u.seq >= low ORDER BY u.seq
    LOOP
        EXIT WHEN command_seq > updates_of.command;
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION rowcall.updates_of IS
    'The updates of one command; none while it is pending. A binary search over the session''s log, so it needs no index of its own.';

-- One statement, so one snapshot: the status is true for every row of the result.
CREATE VIEW rowcall.commands AS
SELECT c.session_id || '/' || c.seq AS command_id,
       c.session_id,
       c.seq,
       c.type,
       c.data,
       CASE WHEN EXISTS (SELECT FROM rowcall.dead_letters d WHERE d.session_id = c.session_id AND d.command_seq = c.seq)
            THEN 'dead'
            WHEN c.seq <= (SELECT u.command_seq FROM rowcall.update_log u WHERE u.session_id = c.session_id
                           ORDER BY u.seq DESC LIMIT 1)
            THEN 'processed'
            WHEN EXISTS (SELECT FROM rowcall.retries r WHERE r.session_id = c.session_id AND r.command_seq = c.seq)
            THEN 'retrying'
            ELSE 'pending' END AS status,
       c.created_at AS "timestamp",
       c.idempotency_key
FROM rowcall.command_log c;
COMMENT ON VIEW rowcall.commands IS
    'The commands with their status: pending, processed, retrying (held by a failure) or dead (in dead_letters). Takes INSERT (session_id, type, data [, idempotency_key]) … RETURNING seq.';

CREATE FUNCTION rowcall.commands_insert() RETURNS trigger
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF NEW.session_id IS NULL OR NEW.type IS NULL OR NEW.data IS NULL THEN
        RAISE EXCEPTION 'rowcall: a command needs session_id, type and data' USING ERRCODE = 'not_null_violation';
    END IF;
    IF NEW.seq IS NOT NULL OR NEW.command_id IS NOT NULL OR NEW.status IS NOT NULL OR NEW."timestamp" IS NOT NULL THEN
        RAISE EXCEPTION 'rowcall: seq, command_id, status and timestamp are given by the database'
            USING ERRCODE = 'generated_always';
    END IF;
    NEW.seq := rowcall.submit(NEW.session_id, NEW.type, NEW.data, NEW.idempotency_key);
    NEW.command_id := NEW.session_id || '/' || NEW.seq;
    IF NEW.idempotency_key IS NULL THEN
        NEW.status := 'pending';
        SELECT c.created_at INTO NEW."timestamp"
        FROM rowcall.command_log c WHERE c.session_id = NEW.session_id AND c.seq = NEW.seq;
    ELSE  -- maybe a duplicate: what is there counts
        SELECT c.type, c.data, c.status, c."timestamp" INTO NEW.type, NEW.data, NEW.status, NEW."timestamp"
        FROM rowcall.commands c WHERE c.session_id = NEW.session_id AND c.seq = NEW.seq;
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION rowcall.commands_insert IS
    'Rows of one INSERT are submitted one by one, so locks are taken in its order: two statements that name many sessions in different orders may deadlock, and PostgreSQL then aborts one. rowcall.submit_batch sorts.';
CREATE TRIGGER commands_insert INSTEAD OF INSERT ON rowcall.commands
    FOR EACH ROW EXECUTE FUNCTION rowcall.commands_insert();

CREATE VIEW rowcall.updates AS
SELECT u.session_id || '/' || u.seq AS update_id,
       u.session_id,
       u.seq,
       u.command_seq,
       u.type,
       u.data,
       coalesce(u.data ->> 'chat_id', CASE WHEN u.session_id LIKE 'chat-%' THEN u.session_id END) AS chat_id,
       u.created_at AS "timestamp"
FROM rowcall.update_log u;
COMMENT ON VIEW rowcall.updates IS 'The updates of all sessions. Ask by session_id and seq.';
