SELECT l.session_id FROM rowcall.sweep_leftovers l WHERE l.session_id > $1::text ORDER BY l.session_id LIMIT $2::integer
