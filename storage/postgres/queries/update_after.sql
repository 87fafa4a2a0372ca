SELECT u.seq, u.command_seq, u.type, u.data::text, rowcall.epoch_us(u.created_at) AS at
FROM rowcall.update_log u
WHERE u.session_id = $1::text AND u.seq > $2::bigint
ORDER BY u.seq
LIMIT $3::bigint
