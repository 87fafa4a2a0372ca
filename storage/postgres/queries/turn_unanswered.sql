SELECT rowcall.refuse_turn()
WHERE (SELECT u.command_seq FROM rowcall.update_log u WHERE u.session_id = $1::text ORDER BY u.seq DESC LIMIT 1) >= $2::bigint
