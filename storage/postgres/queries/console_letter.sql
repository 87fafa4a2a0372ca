SELECT d.session_id, d.command_seq, d.type, d.data::text, d.error, d.attempts, rowcall.epoch_us(d.failed_at) AS at,
       coalesce(d.resolution, '') AS resolution, coalesce(d.redriven_seq, 0) AS redriven_seq, true AS fits
FROM rowcall.dead_letters d WHERE d.session_id = $1::text AND d.command_seq = $2::bigint
