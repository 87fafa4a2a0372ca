DROP FUNCTION rowcall.drop_dead_letter, rowcall.redrive, rowcall.cleanup_chunk, rowcall.sweep_open;
