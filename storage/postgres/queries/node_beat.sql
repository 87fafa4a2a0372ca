UPDATE rowcall.nodes SET heartbeat_at = clock_timestamp(), turns_per_s = $2::float8, commands_per_s = $3::float8,
    turns_total = $4::bigint, commands_total = $5::bigint, updates_total = $6::bigint, retries_total = $7::bigint,
    dead_letters_total = $8::bigint, lost_wakes_total = $9::bigint, wait_counts = $10::bigint[], turn_counts = $11::bigint[]
WHERE node = $1::text
RETURNING node, (SELECT max(coalesce(m.compatible_from, m.version)) FROM rowcall.migrations m)
