INSERT INTO rowcall.update_log (seq, command_seq, session_id, type, data)
SELECT $7::bigint, $4::bigint, $3::text, $8::text, $9::jsonb
FROM (SELECT FROM rowcall.shards s WHERE s.shard = $2::integer AND s.owner = $1::text FOR NO KEY UPDATE SKIP LOCKED) l
CROSS JOIN (SELECT FROM rowcall.command_log c
            WHERE c.session_id = $3::text AND c.seq = $4::bigint AND c.type = $5::text AND c.data::text = $6::text) c
WHERE NOT EXISTS (SELECT FROM rowcall.retries t WHERE t.session_id = $3::text)
RETURNING rowcall.epoch_us(created_at)
