SELECT rowcall.sweep_open($1::bigint, $2::bigint[])
