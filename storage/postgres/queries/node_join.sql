WITH registered AS (
    INSERT INTO rowcall.kinds (kind) SELECT unnest($2::text[]) ON CONFLICT DO NOTHING
)
INSERT INTO rowcall.nodes (node, kinds, version) VALUES ($1::text, $2::text[], $3::text)
ON CONFLICT (node) DO UPDATE
SET kinds = excluded.kinds, version = excluded.version, heartbeat_at = clock_timestamp(), stopped_at = NULL
