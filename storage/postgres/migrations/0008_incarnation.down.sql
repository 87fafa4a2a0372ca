DROP FUNCTION rowcall.mark_restored, rowcall.node_is_connected;
ALTER TABLE rowcall.nodes DROP COLUMN schema_version;
DROP TABLE rowcall.incarnation;
