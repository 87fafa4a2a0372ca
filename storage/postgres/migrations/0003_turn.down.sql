DROP FUNCTION rowcall.turn_claim, rowcall.node_died, rowcall.epoch_us;
