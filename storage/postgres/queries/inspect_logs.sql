-- Sessions whose log of commands somebody has written to by hand. The last command lies below the cursor: commands were deleted, and what is
-- submitted next counts as processed. Or the first one above it is not the next: the engine leaves such a session alone.
-- Looks at $1 sessions.
SELECT s.session_id, coalesce(c.seq, 0) AS last_command, coalesce(u.command_seq, 0) AS processed, n.seq AS next_command
FROM (SELECT k.session_id FROM rowcall.sessions k LIMIT $1::bigint) s
LEFT JOIN LATERAL (SELECT u.command_seq FROM rowcall.update_log u WHERE u.session_id = s.session_id
                   ORDER BY u.seq DESC LIMIT 1) u ON true
LEFT JOIN LATERAL (SELECT c.seq FROM rowcall.command_log c WHERE c.session_id = s.session_id
                   ORDER BY c.seq DESC LIMIT 1) c ON true
LEFT JOIN LATERAL (SELECT n.seq FROM rowcall.command_log n WHERE n.session_id = s.session_id AND n.seq > coalesce(u.command_seq, 0)
                   ORDER BY n.seq LIMIT 1) n ON true
WHERE coalesce(c.seq, 0) < coalesce(u.command_seq, 0) OR n.seq > coalesce(u.command_seq, 0) + 1
ORDER BY s.session_id
LIMIT $2::bigint
