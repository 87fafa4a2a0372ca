UPDATE rowcall.nodes SET stopped_at = clock_timestamp() WHERE node = $1::text
