INSERT INTO rowcall.retries (session_id, command_seq, attempts, next_at, last_error, armed_by)
SELECT r.session_id, r.command_seq, r.attempts, now() + r.wait_ms * interval '1 ms', r.last_error, r.armed_by
FROM unnest($1::text[], $2::bigint[], $3::integer[], $4::bigint[], $5::text[], $6::text[])
     r (session_id, command_seq, attempts, wait_ms, last_error, armed_by)
ON CONFLICT (session_id) DO UPDATE
SET command_seq = excluded.command_seq, attempts = excluded.attempts, next_at = excluded.next_at,
    last_error = excluded.last_error, armed_by = excluded.armed_by
