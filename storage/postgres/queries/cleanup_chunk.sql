SELECT next_session, commands, updates, snapshots
FROM rowcall.cleanup_chunk($1::text, $2::bigint * interval '1 s', $3::integer, $4::integer)
