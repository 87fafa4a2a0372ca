SELECT rowcall.refuse_turn()
WHERE NOT EXISTS (
    SELECT FROM (SELECT FROM rowcall.shards s WHERE s.shard = $2::integer AND s.owner = $1::text FOR NO KEY UPDATE SKIP LOCKED) l
    CROSS JOIN (SELECT FROM rowcall.command_log c
                WHERE c.session_id = $3::text AND c.seq = $4::bigint AND c.type = $5::text AND c.data::text = $6::text) c
    WHERE NOT EXISTS (SELECT FROM rowcall.retries t WHERE t.session_id = $3::text))
