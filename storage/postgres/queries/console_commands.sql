SELECT c.seq, coalesce(c.idempotency_key, '') AS key, c.type,
       CASE WHEN pg_column_size(c.data) <= $4::bigint AND octet_length(c.data::text) <= $4::bigint THEN c.data::text END AS data, rowcall.epoch_us(c.created_at) AS at,
       pg_column_size(c.data) AS data_bytes
FROM rowcall.command_log c
WHERE c.session_id = $1::text AND c.seq >= $2::bigint ORDER BY c.seq LIMIT $3::bigint
