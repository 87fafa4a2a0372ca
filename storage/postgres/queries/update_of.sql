SELECT seq, command_seq, type, data::text, rowcall.epoch_us(created_at) AS at FROM rowcall.updates_of($1::text, $2::bigint)
