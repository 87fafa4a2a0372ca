-- $1 the sessions, $2 a command of each that is known to be there; for each command $3 the place of its session in $1,
-- $4 its own among the session's, and what it is. Nothing is stored when a session is new or a command is not admitted.
WITH last AS MATERIALIZED (
    SELECT ARRAY(
        -- A scan backwards reads the whole page before its first row; the bound ends it early. A bound from before a
        -- restore finds nothing.
        SELECT coalesce((SELECT c.seq FROM rowcall.command_log c WHERE c.session_id = s.session_id AND c.seq >= s.known
                         ORDER BY c.seq DESC LIMIT 1),
                        (SELECT c.seq FROM rowcall.command_log c WHERE c.session_id = s.session_id
                         ORDER BY c.seq DESC LIMIT 1))
        FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY s (session_id, known, place) ORDER BY s.place) AS seqs
), admitted AS MATERIALIZED (
    SELECT l.seqs FROM last l
    WHERE rowcall.overload_ms() = 0 AND array_position(l.seqs, NULL) IS NULL
      AND NOT EXISTS (SELECT FROM unnest($3::integer[], $4::integer[], $5::text[]) q (place, nth, session_id)
                      WHERE (l.seqs[q.place] + q.nth) & 63 = 0 AND NOT rowcall.admits(q.session_id, l.seqs[q.place] + q.nth))
), stored AS (
    INSERT INTO rowcall.command_log (seq, session_id, type, data)
    SELECT a.seqs[q.place] + q.nth, q.session_id, q.type, q.data::jsonb
    FROM admitted a
    CROSS JOIN unnest($3::integer[], $4::integer[], $5::text[], $6::text[], $7::text[]) q (place, nth, session_id, type, data)
)
SELECT unnest(a.seqs) FROM admitted a
