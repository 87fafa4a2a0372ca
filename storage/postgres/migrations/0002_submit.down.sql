DROP FUNCTION rowcall.submit, rowcall.submit_batch, rowcall.lock_submit_bucket;
