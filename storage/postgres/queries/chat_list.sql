SELECT c.chat_id, c.name,
       (SELECT count(*) FROM rowcall.members m WHERE m.chat_id = c.chat_id),
       EXISTS (SELECT FROM rowcall.members m WHERE m.chat_id = c.chat_id AND m.user_id = $3::text)
FROM rowcall.chats c
WHERE c.chat_id > $1::text
ORDER BY c.chat_id
LIMIT $2::bigint
