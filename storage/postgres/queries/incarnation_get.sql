SELECT i.incarnation FROM rowcall.incarnation i
