DROP TRIGGER updates_change ON rowcall.updates;
DROP TRIGGER commands_change ON rowcall.commands;
DROP FUNCTION rowcall.refuse_change;
