SELECT rowcall.epoch_us(now())
