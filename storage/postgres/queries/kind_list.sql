SELECT k.kind FROM rowcall.kinds k ORDER BY k.kind
