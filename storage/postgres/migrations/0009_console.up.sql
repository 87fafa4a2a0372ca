-- compatible-from: previous
-- What the operator's console shows: what the nodes have done, told with their heartbeats, and a list of dead letters by time.

ALTER TABLE rowcall.nodes
    ADD COLUMN turns_total        bigint   NOT NULL DEFAULT 0,
    ADD COLUMN commands_total     bigint   NOT NULL DEFAULT 0,
    ADD COLUMN updates_total      bigint   NOT NULL DEFAULT 0,
    ADD COLUMN retries_total      bigint   NOT NULL DEFAULT 0,
    ADD COLUMN dead_letters_total bigint   NOT NULL DEFAULT 0,
    ADD COLUMN lost_wakes_total   bigint   NOT NULL DEFAULT 0,
    ADD COLUMN wait_counts        bigint[] NOT NULL DEFAULT '{}',
    ADD COLUMN turn_counts        bigint[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN rowcall.nodes.commands_total IS
    'Like the other totals: since the node''s start, as of its last heartbeat. 0 for an engine older than this column.';
COMMENT ON COLUMN rowcall.nodes.lost_wakes_total IS 'Sessions whose work a sweep found before a wake was heard.';
COMMENT ON COLUMN rowcall.nodes.wait_counts IS
    'How long commands waited from their submit to their claim: commands up to 32 us, 64 us, … 2^25 us, and above.';
COMMENT ON COLUMN rowcall.nodes.turn_counts IS 'How long turns took from their claim to their COMMIT: turns, in the same buckets.';

CREATE INDEX dead_letters_time ON rowcall.dead_letters (failed_at, session_id, command_seq);
COMMENT ON INDEX rowcall.dead_letters_time IS 'Pages of all dead letters, resolved ones as well, newest first.';
