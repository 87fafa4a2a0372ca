-- The logs, append-only, and the few small tables around them.
-- Column order: fixed width first, so that rows carry no padding.

CREATE TABLE rowcall.shards (
    shard      integer     NOT NULL,
    epoch      bigint      NOT NULL DEFAULT 0,
    suspect_at timestamptz,
    owner      text,
    CONSTRAINT shards_pk PRIMARY KEY (shard),
    CONSTRAINT shards_shard_range CHECK (shard >= 0)
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);
COMMENT ON TABLE rowcall.shards IS
    'The locks of the sessions: a turn locks the row of each shard it serves. Updated only when the owner changes (HOT, hence the fillfactor).';
COMMENT ON COLUMN rowcall.shards.suspect_at IS
    'When the shard was last taken from a node that had not stopped cleanly: what was pending then is tried with care.';
INSERT INTO rowcall.shards (shard) SELECT generate_series(0, 63);

CREATE TABLE rowcall.kinds (
    registered_at timestamptz      NOT NULL DEFAULT clock_timestamp(),
    kind          text COLLATE "C" NOT NULL,
    CONSTRAINT kinds_pk PRIMARY KEY (kind),
    CONSTRAINT kinds_kind_format CHECK (octet_length(kind) BETWEEN 1 AND 32 AND kind !~ '[^A-Za-z0-9_]')
);
COMMENT ON TABLE rowcall.kinds IS 'Every kind that some engine has ever served. Commands for any other are refused.';

CREATE TABLE rowcall.nodes (
    started_at     timestamptz      NOT NULL DEFAULT clock_timestamp(),
    heartbeat_at   timestamptz      NOT NULL DEFAULT clock_timestamp(),
    stopped_at     timestamptz,
    turns_per_s    double precision NOT NULL DEFAULT 0,
    commands_per_s double precision NOT NULL DEFAULT 0,
    node           text COLLATE "C" NOT NULL,
    version        text             NOT NULL DEFAULT '',
    kinds          text[]           NOT NULL DEFAULT '{}',
    CONSTRAINT nodes_pk PRIMARY KEY (node),
    CONSTRAINT nodes_node_length CHECK (octet_length(node) BETWEEN 1 AND 200)
) WITH (fillfactor = 30, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);
COMMENT ON TABLE rowcall.nodes IS 'The engines, one row for each boot. The heartbeat is a HOT update, hence the fillfactor.';

CREATE TABLE rowcall.sessions (
    created_at timestamptz      NOT NULL DEFAULT clock_timestamp(),
    session_id text COLLATE "C" NOT NULL,
    CONSTRAINT sessions_pk PRIMARY KEY (session_id),
    -- `x !~ '[^…]'` costs 0.2 us, `x ~ '^[…]{3,64}$'` 4 us.
    CONSTRAINT sessions_session_id_format CHECK (
        octet_length(session_id) BETWEEN 3 AND 64
        AND session_id !~ '[^A-Za-z0-9_-]'
        AND strpos(session_id, '-') BETWEEN 2 AND least(33, octet_length(session_id) - 1))
);
COMMENT ON TABLE rowcall.sessions IS
    'A registry, written once with a session''s first command. Every session id passes its check here, so the logs need none.';

-- seq is counted per session in commit order; see rowcall.submit_batch, the only writer.
CREATE TABLE rowcall.command_log (
    seq             bigint           NOT NULL,
    xid             bigint           NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    created_at      timestamptz      NOT NULL DEFAULT clock_timestamp(),
    session_id      text COLLATE "C" NOT NULL,
    type            text COLLATE "C" NOT NULL,
    idempotency_key text COLLATE "C",
    data            jsonb            NOT NULL,
    CONSTRAINT command_log_pk PRIMARY KEY (session_id, seq),
    CONSTRAINT command_log_seq_positive CHECK (seq > 0),
    CONSTRAINT command_log_type_format CHECK (octet_length(type) BETWEEN 1 AND 64 AND type !~ '[^A-Za-z0-9_.-]'),
    CONSTRAINT command_log_key_length CHECK (octet_length(idempotency_key) BETWEEN 1 AND 200),
    CONSTRAINT command_log_data_is_object CHECK (jsonb_typeof(data) = 'object')
) WITH (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 200000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);
COMMENT ON TABLE rowcall.command_log IS
    'Requests, append-only: a command is pending while its seq is above the command_seq of its session''s last update.';
COMMENT ON COLUMN rowcall.command_log.xid IS
    'The transaction that committed the row. The sweep reads what it has not seen yet by it: xids, unlike times, tell which transactions were still open.';
CREATE UNIQUE INDEX command_log_idempotency ON rowcall.command_log (session_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
COMMENT ON INDEX rowcall.command_log_idempotency IS 'A repeated submit finds the first one. Partial: rows without a key cost nothing.';
CREATE INDEX command_log_xid ON rowcall.command_log USING brin (xid) WITH (pages_per_range = 16, autosummarize = on);
COMMENT ON INDEX rowcall.command_log_xid IS
    'For the sweep: the tail of an append-only heap has the newest xids. A BRIN costs an append next to nothing. Small ranges, because cleanup lets new rows into old pages.';

CREATE TABLE rowcall.update_log (
    seq         bigint           NOT NULL,
    command_seq bigint           NOT NULL,
    created_at  timestamptz      NOT NULL DEFAULT now(),
    session_id  text COLLATE "C" NOT NULL,
    type        text COLLATE "C" NOT NULL,
    data        jsonb            NOT NULL,
    CONSTRAINT update_log_pk PRIMARY KEY (session_id, seq),
    CONSTRAINT update_log_seq_positive CHECK (seq > 0 AND command_seq > 0),
    CONSTRAINT update_log_type_length CHECK (octet_length(type) BETWEEN 1 AND 64),
    CONSTRAINT update_log_data_is_object CHECK (jsonb_typeof(data) = 'object')
) WITH (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 200000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);
COMMENT ON TABLE rowcall.update_log IS
    'Facts, append-only. A session''s last row is its cursor. The primary key is the fence: a stale turn''s insert collides.';

CREATE TABLE rowcall.snapshots (
    seq         bigint           NOT NULL,
    command_seq bigint           NOT NULL,
    created_at  timestamptz      NOT NULL DEFAULT now(),
    session_id  text COLLATE "C" NOT NULL,
    state       jsonb            NOT NULL,
    CONSTRAINT snapshots_pk PRIMARY KEY (session_id, seq),
    CONSTRAINT snapshots_seq_positive CHECK (seq > 0 AND command_seq > 0)
);
COMMENT ON TABLE rowcall.snapshots IS 'A session''s state after update seq. Bounds the replay; cleanup keeps the last one.';

CREATE TABLE rowcall.retries (
    command_seq bigint           NOT NULL,
    next_at     timestamptz      NOT NULL,
    attempts    integer          NOT NULL,
    session_id  text COLLATE "C" NOT NULL,
    last_error  text             NOT NULL DEFAULT '',
    armed_by    text             NOT NULL DEFAULT '',
    CONSTRAINT retries_pk PRIMARY KEY (session_id),
    CONSTRAINT retries_attempts_positive CHECK (attempts >= 0 AND command_seq > 0)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON TABLE rowcall.retries IS 'The one command that a session is held by. Empty while nothing fails.';
COMMENT ON COLUMN rowcall.retries.armed_by IS 'The node that recorded this attempt before it ran; empty after a plain failure.';

CREATE TABLE rowcall.dead_letters (
    command_seq  bigint           NOT NULL,
    redriven_seq bigint,
    failed_at    timestamptz      NOT NULL DEFAULT now(),
    resolved_at  timestamptz,
    attempts     integer          NOT NULL,
    session_id   text COLLATE "C" NOT NULL,
    type         text COLLATE "C" NOT NULL,
    resolution   text,
    error        text             NOT NULL DEFAULT '',
    data         jsonb            NOT NULL,
    CONSTRAINT dead_letters_pk PRIMARY KEY (session_id, command_seq),
    CONSTRAINT dead_letters_resolution_known CHECK (resolution IN ('redriven', 'dropped'))
);
COMMENT ON TABLE rowcall.dead_letters IS 'Commands that were parked, whole: retention of the log does not touch them.';
CREATE INDEX dead_letters_open ON rowcall.dead_letters (failed_at) WHERE resolution IS NULL;
COMMENT ON INDEX rowcall.dead_letters_open IS 'The list of what waits for a person, newest first, and its count.';

CREATE TABLE rowcall.sweep_watermark (
    only_row boolean     NOT NULL DEFAULT true,
    xid      bigint      NOT NULL DEFAULT 0,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT sweep_watermark_pk PRIMARY KEY (only_row),
    CONSTRAINT sweep_watermark_one_row CHECK (only_row)
) WITH (fillfactor = 10);
COMMENT ON TABLE rowcall.sweep_watermark IS
    'Every command of a transaction below xid is processed. Moved seldom; where a new node''s first sweep begins.';
INSERT INTO rowcall.sweep_watermark DEFAULT VALUES;

-- The chat module's tables. messages has no foreign key to chats on purpose: each message would lock its chat's row.
CREATE TABLE rowcall.chats (
    created_at timestamptz      NOT NULL DEFAULT now(),
    chat_id    text COLLATE "C" NOT NULL,
    name       text             NOT NULL,
    CONSTRAINT chats_pk PRIMARY KEY (chat_id)
);
COMMENT ON TABLE rowcall.chats IS 'The rooms, for people and reports: the engine reads its own logs only.';

CREATE TABLE rowcall.members (
    joined_at timestamptz      NOT NULL DEFAULT now(),
    chat_id   text COLLATE "C" NOT NULL,
    user_id   text COLLATE "C" NOT NULL,
    CONSTRAINT members_pk PRIMARY KEY (chat_id, user_id)
);
COMMENT ON TABLE rowcall.members IS 'Who is in which room.';

CREATE TABLE rowcall.messages (
    message_id  bigint           NOT NULL,
    "timestamp" timestamptz      NOT NULL DEFAULT now(),
    chat_id     text COLLATE "C" NOT NULL,
    sender      text             NOT NULL,
    text        text             NOT NULL,
    CONSTRAINT messages_pk PRIMARY KEY (chat_id, message_id)
);
COMMENT ON TABLE rowcall.messages IS
    'One row for each message; message_id is the seq of its update. No foreign key to chats: it would lock a row of chats with every message.';
