-- What a node has armed and another takes from it while it lives (it holds its advisory lock) was no attempt: those that fight
-- about a shard would use all of an innocent command's up.
INSERT INTO rowcall.retries AS t (session_id, command_seq, attempts, next_at, last_error, armed_by)
SELECT r.session_id, r.command_seq, r.attempts, now() + r.wait_ms * interval '1 ms', r.last_error, r.armed_by
FROM unnest($1::text[], $2::bigint[], $3::integer[], $4::bigint[], $5::text[], $6::text[])
     r (session_id, command_seq, attempts, wait_ms, last_error, armed_by)
ON CONFLICT (session_id) DO UPDATE
SET command_seq = excluded.command_seq, next_at = excluded.next_at, last_error = excluded.last_error, armed_by = excluded.armed_by,
    attempts = CASE
        WHEN t.command_seq = excluded.command_seq AND t.armed_by <> '' AND excluded.armed_by <> '' AND t.armed_by <> excluded.armed_by
        THEN CASE WHEN pg_try_advisory_xact_lock_shared(1919120225, hashtext(t.armed_by)) THEN excluded.attempts ELSE t.attempts END
        ELSE excluded.attempts END
