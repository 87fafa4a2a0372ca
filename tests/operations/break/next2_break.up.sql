-- Says nothing of compatibility: no older binary may run on what this leaves.
ALTER TABLE rowcall.update_log RENAME COLUMN note TO remark;
