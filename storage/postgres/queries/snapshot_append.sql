INSERT INTO rowcall.snapshots (seq, command_seq, session_id, state)
SELECT r.seq, r.command_seq, r.session_id, r.state::jsonb
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[]) r (session_id, seq, command_seq, state)
