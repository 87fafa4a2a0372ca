ALTER TABLE rowcall.update_log RENAME COLUMN remark TO note;
