SELECT d.session_id, d.command_seq, d.type, d.data::text, d.error, d.attempts, rowcall.epoch_us(d.failed_at) AS at,
       coalesce(d.resolution, '') AS resolution
FROM rowcall.dead_letters d
WHERE $2::boolean OR d.resolution IS NULL
ORDER BY d.failed_at DESC, d.session_id DESC, d.command_seq DESC
LIMIT $1::bigint
