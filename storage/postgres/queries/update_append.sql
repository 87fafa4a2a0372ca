INSERT INTO rowcall.update_log (seq, command_seq, session_id, type, data)
SELECT r.seq, r.command_seq, r.session_id, r.type, r.data::jsonb
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[]) r (session_id, seq, command_seq, type, data)
