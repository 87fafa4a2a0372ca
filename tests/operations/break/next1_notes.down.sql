DROP TABLE rowcall.notes;
ALTER TABLE rowcall.update_log DROP COLUMN note;
ALTER TABLE rowcall.command_log DROP COLUMN priority;
