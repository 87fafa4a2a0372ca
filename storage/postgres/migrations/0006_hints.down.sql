DROP FUNCTION rowcall.refuse_turn();
