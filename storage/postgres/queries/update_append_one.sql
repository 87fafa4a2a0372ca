INSERT INTO rowcall.update_log (seq, command_seq, session_id, type, data) VALUES ($2::bigint, $3::bigint, $1::text, $4::text, $5::jsonb)
