-- What retention leaves although it is older than $1 seconds: see kept_rows. Looks at $2 sessions. Above a snapshot no number is missing, and
-- time rises with the numbers: rows are only counted one by one where some are older and some are not.
WITH looked AS MATERIALIZED (
    SELECT k.session_id FROM rowcall.sessions k ORDER BY k.session_id LIMIT $2::bigint + 1
), kept AS (
    SELECT p.seq IS NOT NULL AS has_snapshot, c.n AS commands, u.n AS updates
    FROM (SELECT l.session_id, now() - $1::bigint * interval '1 s' AS cutoff FROM looked l LIMIT $2::bigint) s
    LEFT JOIN LATERAL (SELECT p.seq, p.command_seq FROM rowcall.snapshots p WHERE p.session_id = s.session_id
                       ORDER BY p.seq DESC LIMIT 1) p ON true
    CROSS JOIN LATERAL (SELECT l.seq, l.command_seq FROM rowcall.update_log l WHERE l.session_id = s.session_id
                        ORDER BY l.seq DESC LIMIT 1) last_update
    CROSS JOIN LATERAL (SELECT l.seq FROM rowcall.command_log l WHERE l.session_id = s.session_id
                        ORDER BY l.seq DESC LIMIT 1) last_command
    -- Without the last ones, which stay in any case, and what is pending.
    CROSS JOIN LATERAL (SELECT coalesce(p.command_seq, 0) + 1 AS first_command, coalesce(p.seq, 0) + 1 AS first_update,
                               least(last_update.command_seq, last_command.seq - 1) AS command, last_update.seq - 1 AS update) upto
    CROSS JOIN LATERAL (
        SELECT CASE WHEN upto.command < upto.first_command THEN 0
                    WHEN (SELECT l.created_at <= s.cutoff FROM rowcall.command_log l
                          WHERE l.session_id = s.session_id AND l.seq = upto.command) THEN upto.command - upto.first_command + 1
                    WHEN (SELECT f.created_at <= s.cutoff FROM rowcall.command_log f
                          WHERE f.session_id = s.session_id AND f.seq = upto.first_command)
                    THEN (SELECT count(*) FROM rowcall.command_log c
                          WHERE c.session_id = s.session_id AND c.seq BETWEEN upto.first_command AND upto.command
                            AND c.created_at <= s.cutoff)
                    ELSE 0 END AS n) c
    CROSS JOIN LATERAL (
        SELECT CASE WHEN upto.update < upto.first_update THEN 0
                    WHEN (SELECT l.created_at <= s.cutoff FROM rowcall.update_log l
                          WHERE l.session_id = s.session_id AND l.seq = upto.update) THEN upto.update - upto.first_update + 1
                    WHEN (SELECT f.created_at <= s.cutoff FROM rowcall.update_log f
                          WHERE f.session_id = s.session_id AND f.seq = upto.first_update)
                    THEN (SELECT count(*) FROM rowcall.update_log u
                          WHERE u.session_id = s.session_id AND u.seq BETWEEN upto.first_update AND upto.update
                            AND u.created_at <= s.cutoff)
                    ELSE 0 END AS n) u
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
