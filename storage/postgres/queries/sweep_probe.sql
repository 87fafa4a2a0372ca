SELECT q.ord, coalesce(u.command_seq, 0) AS processed, coalesce(c.seq, 0) AS last, coalesce(r.waits, false) AS waits
FROM unnest($1::text[]) WITH ORDINALITY q (session_id, ord)
LEFT JOIN LATERAL (SELECT u.command_seq FROM rowcall.update_log u WHERE u.session_id = q.session_id
                   ORDER BY u.seq DESC LIMIT 1) u ON true
LEFT JOIN LATERAL (SELECT c.seq FROM rowcall.command_log c WHERE c.session_id = q.session_id
                   ORDER BY c.seq DESC LIMIT 1) c ON true
LEFT JOIN LATERAL (SELECT r.next_at > clock_timestamp() AS waits FROM rowcall.retries r WHERE r.session_id = q.session_id
                   LIMIT 1) r ON true
