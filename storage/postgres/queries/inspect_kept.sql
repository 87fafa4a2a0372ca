-- What retention leaves although it is older than $1 seconds: see kept_rows. Looks at $2 sessions. A session whose first command above
-- its snapshot is younger has nothing of the kind: its rows are not read.
WITH looked AS MATERIALIZED (
    SELECT k.session_id FROM rowcall.sessions k ORDER BY k.session_id LIMIT $2::bigint + 1
), kept AS (
    SELECT p.seq IS NOT NULL AS has_snapshot, c.n AS commands, u.n AS updates
    FROM (SELECT l.session_id, now() - $1::bigint * interval '1 s' AS cutoff FROM looked l LIMIT $2::bigint) s
    LEFT JOIN LATERAL (SELECT p.seq, p.command_seq FROM rowcall.snapshots p WHERE p.session_id = s.session_id
                       ORDER BY p.seq DESC LIMIT 1) p ON true
    CROSS JOIN LATERAL (SELECT f.created_at FROM rowcall.command_log f
                        WHERE f.session_id = s.session_id AND f.seq > coalesce(p.command_seq, 0) ORDER BY f.seq LIMIT 1) f
    CROSS JOIN LATERAL (SELECT l.seq, l.command_seq FROM rowcall.update_log l WHERE l.session_id = s.session_id
                        ORDER BY l.seq DESC LIMIT 1) last_update
    CROSS JOIN LATERAL (SELECT l.seq FROM rowcall.command_log l WHERE l.session_id = s.session_id
                        ORDER BY l.seq DESC LIMIT 1) last_command
    CROSS JOIN LATERAL (SELECT count(*) AS n FROM rowcall.command_log c
                        WHERE f.created_at <= s.cutoff AND c.session_id = s.session_id AND c.seq > coalesce(p.command_seq, 0)
                          AND c.seq <= last_update.command_seq AND c.seq < last_command.seq AND c.created_at <= s.cutoff) c
    CROSS JOIN LATERAL (SELECT count(*) AS n FROM rowcall.update_log u
                        WHERE f.created_at <= s.cutoff AND u.session_id = s.session_id AND u.seq > coalesce(p.seq, 0)
                          AND u.seq < last_update.seq AND u.created_at <= s.cutoff) u
    WHERE c.n + u.n > 0
)
SELECT count(*) FILTER (WHERE NOT k.has_snapshot) AS bare_sessions,
       coalesce(sum(k.commands) FILTER (WHERE NOT k.has_snapshot), 0)::bigint AS bare_commands,
       coalesce(sum(k.updates) FILTER (WHERE NOT k.has_snapshot), 0)::bigint AS bare_updates,
       count(*) FILTER (WHERE k.has_snapshot) AS sessions,
       coalesce(sum(k.commands) FILTER (WHERE k.has_snapshot), 0)::bigint AS commands,
       coalesce(sum(k.updates) FILTER (WHERE k.has_snapshot), 0)::bigint AS updates,
       (SELECT count(*) FROM looked) <= $2::bigint AS is_exact
FROM kept k
