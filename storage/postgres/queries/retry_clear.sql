DELETE FROM rowcall.retries WHERE session_id = ANY ($1::text[])
