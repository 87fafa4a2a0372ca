-- Sessions whose last command lies below their cursor: somebody has deleted commands by hand, and what is submitted next counts as
-- processed. Looks at $1 sessions.
SELECT s.session_id, coalesce(c.seq, 0) AS last_command, u.command_seq AS processed
FROM (SELECT k.session_id FROM rowcall.sessions k LIMIT $1::bigint) s
CROSS JOIN LATERAL (SELECT u.command_seq FROM rowcall.update_log u WHERE u.session_id = s.session_id
                    ORDER BY u.seq DESC LIMIT 1) u
LEFT JOIN LATERAL (SELECT c.seq FROM rowcall.command_log c WHERE c.session_id = s.session_id
                   ORDER BY c.seq DESC LIMIT 1) c ON true
WHERE coalesce(c.seq, 0) < u.command_seq
ORDER BY s.session_id
LIMIT $2::bigint
