SELECT r.session_id, r.command_seq, r.attempts, r.last_error, r.armed_by,
       greatest(0, ceil(date_part('epoch', r.next_at - clock_timestamp()) * 1000))::bigint AS wait_ms
FROM rowcall.retries r ORDER BY r.attempts DESC, r.session_id LIMIT $1::bigint
