SELECT rowcall.mark_restored()
