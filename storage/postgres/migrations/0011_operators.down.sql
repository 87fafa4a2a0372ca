ALTER FUNCTION rowcall.redrive(text, bigint) SECURITY INVOKER RESET search_path;
ALTER FUNCTION rowcall.drop_dead_letter(text, bigint) SECURITY INVOKER RESET search_path;
GRANT EXECUTE ON FUNCTION rowcall.redrive(text, bigint), rowcall.drop_dead_letter(text, bigint) TO PUBLIC;
