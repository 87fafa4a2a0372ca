DROP TABLE rowcall.messages, rowcall.members, rowcall.chats, rowcall.sweep_watermark, rowcall.dead_letters, rowcall.retries,
    rowcall.snapshots, rowcall.update_log, rowcall.command_log, rowcall.sessions, rowcall.nodes, rowcall.kinds, rowcall.shards;
