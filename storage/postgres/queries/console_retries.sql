SELECT r.session_id, r.command_seq, r.attempts, (date_part('epoch', r.next_at - clock_timestamp()) * 1000)::bigint AS next_in_ms,
       r.last_error, r.armed_by, coalesce(c.type, '') AS type, rowcall.epoch_us(c.created_at) AS at
FROM (SELECT t.* FROM rowcall.retries t
      -- '~' comes after every character of an id.
      WHERE t.session_id > $1::text AND t.session_id >= $2::text AND t.session_id < $2::text || '~'
      ORDER BY t.session_id LIMIT $3::bigint) r
LEFT JOIN LATERAL (SELECT c.type, c.created_at FROM rowcall.command_log c
                   WHERE c.session_id = r.session_id AND c.seq = r.command_seq LIMIT 1) c ON true
ORDER BY r.session_id
