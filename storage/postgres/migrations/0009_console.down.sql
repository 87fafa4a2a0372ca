DROP INDEX rowcall.dead_letters_time;
ALTER TABLE rowcall.nodes
    DROP COLUMN turns_total, DROP COLUMN commands_total, DROP COLUMN updates_total, DROP COLUMN retries_total,
    DROP COLUMN dead_letters_total, DROP COLUMN lost_wakes_total, DROP COLUMN wait_counts, DROP COLUMN turn_counts;
