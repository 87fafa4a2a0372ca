SELECT ord, part, a, b, type, data, at
FROM rowcall.turn_claim($1::text, $2::text[], $3::integer[], $4::bigint[], $5::boolean[], $6::integer, $7::integer, $8::bigint)
