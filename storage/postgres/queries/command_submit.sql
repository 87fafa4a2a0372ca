SELECT ord, seq, outcome FROM rowcall.submit_batch($1::text[], $2::text[], $3::text[], $4::text[])
