SELECT s.seq, s.command_seq, s.state::text FROM rowcall.snapshots s WHERE s.session_id = $1::text ORDER BY s.seq DESC LIMIT 1
