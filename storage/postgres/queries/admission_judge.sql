-- Closed for about as long as the next sweep takes to come; opened with some room, so that it does not flicker.
SELECT CASE WHEN a.pending_max > 0 AND $1::bigint > a.pending_max THEN rowcall.set_overload(1000)
            WHEN rowcall.overload_ms() > 0 AND $2::boolean AND $1::bigint <= a.pending_max * 0.9 THEN rowcall.set_overload(0)
       END
FROM rowcall.admission a WHERE a.only_row
