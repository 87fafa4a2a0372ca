SELECT rowcall.redrive($1::text, $2::bigint)
