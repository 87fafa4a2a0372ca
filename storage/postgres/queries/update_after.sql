-- From $2 on, not after it: a session's last update is never removed, so no row at all means that its log ends before $2.
SELECT u.seq, u.command_seq, u.type, CASE WHEN u.seq > $2::bigint THEN u.data::text END AS data, rowcall.epoch_us(u.created_at) AS at
FROM rowcall.update_log u
WHERE u.session_id = $1::text AND u.seq >= $2::bigint
ORDER BY u.seq
LIMIT $3::bigint + 1
