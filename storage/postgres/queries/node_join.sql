WITH registered AS (
    INSERT INTO rowcall.kinds (kind) SELECT unnest($2::text[]) ON CONFLICT DO NOTHING
)
INSERT INTO rowcall.nodes (node, kinds, version, schema_version) VALUES ($1::text, $2::text[], $3::text, $4::integer)
ON CONFLICT (node) DO UPDATE
SET kinds = excluded.kinds, version = excluded.version, schema_version = excluded.schema_version,
    heartbeat_at = clock_timestamp(), stopped_at = NULL
