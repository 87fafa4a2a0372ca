UPDATE rowcall.nodes SET heartbeat_at = clock_timestamp(), turns_per_s = $2::float8, commands_per_s = $3::float8
WHERE node = $1::text
RETURNING node, (SELECT max(coalesce(m.compatible_from, m.version)) FROM rowcall.migrations m)
