-- Writes a record of its own and commits, which waits until all of the log up to there is on the disk: what was committed
-- before with synchronous_commit = off is durable then.
SELECT pg_logical_emit_message(true, 'rowcall', '')
