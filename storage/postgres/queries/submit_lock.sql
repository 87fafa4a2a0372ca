SELECT pg_advisory_xact_lock(1919120226, hashtext($1::text) & 2047)
