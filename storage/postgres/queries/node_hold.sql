SELECT pg_try_advisory_lock(1919120225, hashtext($1::text))
