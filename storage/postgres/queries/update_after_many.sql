-- From the position on, not after it: see update_after.
SELECT q.ord, u.seq, u.command_seq, u.type, u.data, u.at
FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY q (session_id, after, ord)
CROSS JOIN LATERAL (
    SELECT u.seq, u.command_seq, u.type, CASE WHEN u.seq > q.after THEN u.data::text END AS data, rowcall.epoch_us(u.created_at) AS at
    FROM rowcall.update_log u
    WHERE u.session_id = q.session_id AND u.seq >= q.after
    ORDER BY u.seq
    LIMIT $3::bigint + 1) u
