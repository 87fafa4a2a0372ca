-- $1 resolved ones as well, $2 … $4 the page begins below this key, $5 … $7 the filter, $8 letters looked at, $9 letters returned.
WITH looked_at AS MATERIALIZED (
    (SELECT d.failed_at, d.session_id, d.command_seq, d.type, d.error FROM rowcall.dead_letters d
     WHERE NOT $1::boolean AND d.resolution IS NULL
       AND (d.failed_at, d.session_id, d.command_seq) < (to_timestamp(0) + $2::bigint * interval '1 us', $3::text, $4::bigint)
     ORDER BY d.failed_at DESC, d.session_id DESC, d.command_seq DESC LIMIT $8::bigint)
    UNION ALL
    (SELECT d.failed_at, d.session_id, d.command_seq, d.type, d.error FROM rowcall.dead_letters d
     WHERE $1::boolean
       AND (d.failed_at, d.session_id, d.command_seq) < (to_timestamp(0) + $2::bigint * interval '1 us', $3::text, $4::bigint)
     ORDER BY d.failed_at DESC, d.session_id DESC, d.command_seq DESC LIMIT $8::bigint)
), fitting AS MATERIALIZED (
    SELECT l.failed_at, l.session_id, l.command_seq FROM looked_at l
    WHERE starts_with(l.session_id, $5::text) AND ($6::text = '' OR l.type = $6::text) AND ($7::text = '' OR strpos(l.error, $7::text) > 0)
    ORDER BY l.failed_at DESC, l.session_id DESC, l.command_seq DESC LIMIT $9::bigint
), turned AS (  -- the last one that was looked at, when there may be more
    SELECT l.failed_at, l.session_id, l.command_seq FROM looked_at l
    WHERE (SELECT count(*) FROM looked_at) = $8::bigint AND (SELECT count(*) FROM fitting) < $9::bigint
    ORDER BY l.failed_at, l.session_id, l.command_seq LIMIT 1
)
SELECT d.session_id, d.command_seq, d.type, CASE WHEN pg_column_size(d.data) <= 2048 THEN d.data::text END AS data, d.error, d.attempts,
       rowcall.epoch_us(d.failed_at) AS at, coalesce(d.resolution, '') AS resolution, coalesce(d.redriven_seq, 0) AS redriven_seq,
       true AS fits
FROM fitting f JOIN rowcall.dead_letters d ON d.session_id = f.session_id AND d.command_seq = f.command_seq
UNION ALL
SELECT t.session_id, t.command_seq, '', NULL, '', 0, rowcall.epoch_us(t.failed_at), '', 0, false FROM turned t
ORDER BY 10 DESC, 7 DESC, 1 DESC, 2 DESC
