SELECT set_config('rowcall.turn', coalesce(string_agg(l.shard::text, ',') FILTER (WHERE l.owner = $1::text), ''), true)
FROM (SELECT s.shard, s.owner FROM rowcall.shards s WHERE s.shard = ANY ($2::integer[])
      ORDER BY s.shard FOR NO KEY UPDATE SKIP LOCKED) l
