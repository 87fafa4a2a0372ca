-- With each boot the ones that ended long ago are forgotten, oldest first: one row a boot, and every heartbeat reads them all.
-- Not those that still own a shard, whose end a claim asks for (rowcall.node_died).
WITH registered AS (
    INSERT INTO rowcall.kinds (kind) SELECT unnest($2::text[]) ON CONFLICT DO NOTHING
), ended AS (
    SELECT n.node, n.heartbeat_at, row_number() OVER (ORDER BY n.heartbeat_at DESC) AS nth FROM rowcall.nodes n
    WHERE n.node <> $1::text AND (n.stopped_at IS NOT NULL OR n.heartbeat_at < clock_timestamp() - interval '1 hour')
      AND NOT EXISTS (SELECT FROM rowcall.shards s WHERE s.owner = n.node)
), forgotten AS (
    DELETE FROM rowcall.nodes n USING ended e
    WHERE n.node = e.node AND (e.nth > 1000 OR e.heartbeat_at < clock_timestamp() - interval '1 day')
)
INSERT INTO rowcall.nodes (node, kinds, version, schema_version) VALUES ($1::text, $2::text[], $3::text, $4::integer)
ON CONFLICT (node) DO UPDATE
SET kinds = excluded.kinds, version = excluded.version, schema_version = excluded.schema_version,
    heartbeat_at = clock_timestamp(), stopped_at = NULL
