SELECT count(*) FROM rowcall.submit_batch($1::text[], $2::text[], $3::text[], $4::text[], any_kind => true)
