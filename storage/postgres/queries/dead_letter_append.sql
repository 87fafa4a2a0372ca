INSERT INTO rowcall.dead_letters (session_id, command_seq, type, data, error, attempts)
SELECT r.session_id, r.command_seq, r.type, r.data::jsonb, r.error, r.attempts
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::integer[])
     r (session_id, command_seq, type, data, error, attempts)
