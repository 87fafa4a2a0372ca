DROP VIEW rowcall.updates;
DROP VIEW rowcall.commands;
DROP FUNCTION rowcall.commands_insert, rowcall.updates_of, rowcall.updates_after;
