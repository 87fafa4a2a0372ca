SELECT q.ord, rowcall.retry_after_ms(q.session_id) FROM unnest($1::text[]) WITH ORDINALITY q (session_id, ord)
