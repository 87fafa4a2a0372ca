SELECT m.chat_id FROM rowcall.members m WHERE m.chat_id = ANY ($1::text[]) AND m.user_id = $2::text
