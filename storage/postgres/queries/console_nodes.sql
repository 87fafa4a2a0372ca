WITH owned AS (
    SELECT s.owner, string_agg(s.shard::text, ',' ORDER BY s.shard) AS shards FROM rowcall.shards s
    WHERE s.owner IS NOT NULL GROUP BY s.owner
)
SELECT n.node, n.kinds, n.version,
       (date_part('epoch', clock_timestamp() - n.heartbeat_at) * 1000)::bigint AS heartbeat_age_ms,
       date_part('epoch', clock_timestamp() - n.started_at)::bigint AS uptime_s,
       n.turns_per_s, n.commands_per_s,
       n.stopped_at IS NULL AND n.heartbeat_at > clock_timestamp() - $1::bigint * interval '1 ms' AS is_alive,
       n.turns_total, n.commands_total, n.updates_total, n.retries_total, n.dead_letters_total, n.lost_wakes_total,
       array_to_string(n.wait_counts, ',') AS wait_counts, array_to_string(n.turn_counts, ',') AS turn_counts,
       coalesce(o.shards, '') AS shards
FROM rowcall.nodes n LEFT JOIN owned o ON o.owner = n.node
WHERE n.heartbeat_at > clock_timestamp() - interval '1 minute'
ORDER BY n.started_at, n.node LIMIT 200
