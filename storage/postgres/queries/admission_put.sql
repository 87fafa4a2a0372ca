WITH put AS (
    UPDATE rowcall.admission a SET session_pending_max = $1::bigint, pending_max = $2::bigint, changed_at = clock_timestamp()
    WHERE (a.session_pending_max, a.pending_max) IS DISTINCT FROM ($1::bigint, $2::bigint)
)
SELECT rowcall.set_overload(CASE WHEN $2::bigint = 0 THEN 0 ELSE rowcall.overload_ms() END)
