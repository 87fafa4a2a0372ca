INSERT INTO rowcall.command_log (seq, session_id, type, data)
SELECT l.seq + 1, l.session_id, $2::text, $3::jsonb
FROM (SELECT c.seq, c.session_id FROM rowcall.command_log c WHERE c.session_id = $1::text ORDER BY c.seq DESC LIMIT 1) l
WHERE rowcall.overload_ms() = 0 AND (l.seq & 63 < 63 OR rowcall.admits(l.session_id, l.seq + 1))
-- The text of $3 and not of the column: a submitter may not read what others have said.
RETURNING seq, ($3::jsonb)::text AS data, rowcall.epoch_us(created_at)
