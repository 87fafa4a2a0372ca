SELECT rowcall.sweep_settle($1::bigint, $2::text[], $3::text)
