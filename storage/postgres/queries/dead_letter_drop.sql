SELECT rowcall.drop_dead_letter($1::text, $2::bigint)
