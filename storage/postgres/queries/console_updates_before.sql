SELECT u.seq, u.command_seq, u.type,
       CASE WHEN pg_column_size(u.data) <= $4::bigint AND octet_length(u.data::text) <= $4::bigint THEN u.data::text END AS data, rowcall.epoch_us(u.created_at) AS at,
       pg_column_size(u.data) AS data_bytes
FROM rowcall.update_log u
WHERE u.session_id = $1::text AND u.seq < $2::bigint ORDER BY u.seq DESC LIMIT $3::bigint
