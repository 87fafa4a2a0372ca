SELECT set_config('rowcall.turn', coalesce(string_agg(CASE WHEN l.owner = $1::text THEN l.shard::text ELSE 'other' END, ','), ''), true),
       set_config('rowcall.suspects', coalesce(string_agg(l.shard::text, ',') FILTER (WHERE l.suspect_at IS NOT NULL), ''), true)
FROM (SELECT s.shard, s.owner, s.suspect_at FROM rowcall.shards s WHERE s.shard = ANY ($2::integer[])
      ORDER BY s.shard FOR NO KEY UPDATE SKIP LOCKED) l
