SELECT p.seq, p.command_seq, p.state::text FROM rowcall.snapshots p
WHERE p.session_id = $1::text AND p.seq <= $2::bigint ORDER BY p.seq DESC LIMIT 1
