SELECT rowcall.epoch_us(s.created_at) AS created_at,
       coalesce(cf.seq, 0) AS first_command, coalesce(cl.seq, 0) AS last_command,
       coalesce(uf.seq, 0) AS first_update, coalesce(ul.seq, 0) AS last_update, coalesce(ul.command_seq, 0) AS processed,
       coalesce(pf.seq, 0) AS first_snapshot, coalesce(pl.seq, 0) AS last_snapshot,
       (SELECT count(*) FROM (SELECT d.resolution FROM rowcall.dead_letters d
                              WHERE d.session_id = $1::text ORDER BY d.command_seq DESC LIMIT 1000) d
        WHERE d.resolution IS NULL) AS dead,
       coalesce(t.command_seq, 0) AS held_command, coalesce(t.attempts, 0) AS attempts,
       coalesce((date_part('epoch', t.next_at - clock_timestamp()) * 1000)::bigint, 0) AS next_in_ms,
       coalesce(t.last_error, '') AS error, coalesce(t.armed_by, '') AS armed_by
FROM rowcall.sessions s
LEFT JOIN LATERAL (SELECT c.seq FROM rowcall.command_log c WHERE c.session_id = s.session_id ORDER BY c.seq LIMIT 1) cf ON true
LEFT JOIN LATERAL (SELECT c.seq FROM rowcall.command_log c WHERE c.session_id = s.session_id ORDER BY c.seq DESC LIMIT 1) cl ON true
LEFT JOIN LATERAL (SELECT u.seq FROM rowcall.update_log u WHERE u.session_id = s.session_id ORDER BY u.seq LIMIT 1) uf ON true
LEFT JOIN LATERAL (SELECT u.seq, u.command_seq FROM rowcall.update_log u WHERE u.session_id = s.session_id
                   ORDER BY u.seq DESC LIMIT 1) ul ON true
LEFT JOIN LATERAL (SELECT p.seq FROM rowcall.snapshots p WHERE p.session_id = s.session_id ORDER BY p.seq LIMIT 1) pf ON true
LEFT JOIN LATERAL (SELECT p.seq FROM rowcall.snapshots p WHERE p.session_id = s.session_id ORDER BY p.seq DESC LIMIT 1) pl ON true
LEFT JOIN LATERAL (SELECT t.* FROM rowcall.retries t WHERE t.session_id = s.session_id LIMIT 1) t ON true
WHERE s.session_id = $1::text
