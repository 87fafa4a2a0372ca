-- Roles with the least that each needs, after `rowcall migrate up`, and again after every migration:
--
--     psql -v ON_ERROR_STOP=1 -d DATABASE -f roles.sql
--
-- The first time, and when a version brings a new role, as a superuser (or as an owner of schema rowcall with CREATEROLE): it makes
-- roles. After that the owner will do.
--
-- They can not log in: give each program a role of its own and make it a member.
--
--     CREATE ROLE engine_1 LOGIN PASSWORD '…' IN ROLE rowcall_engine;
--     CREATE ROLE shop LOGIN PASSWORD '…' IN ROLE rowcall_submitter, rowcall_follower;
--     CREATE ROLE gateway_1 LOGIN PASSWORD '…' IN ROLE rowcall_gateway, rowcall_operator;
--
--   rowcall_engine     `rowcall serve`, with its retention, and `rowcall dead park`
--   rowcall_submitter  client::submitter, rowcall.submit, `rowcall submit` (--wait needs rowcall_follower as well)
--   rowcall_follower   client::follower, rowcall.updates_after, `rowcall follow`; reads updates and nothing of the commands
--   rowcall_reader     reads everything, changes nothing: `rowcall status`, `rowcall doctor`, reports
--
--   rowcall_gateway    `rowcall gateway`: a submitter and a follower who also sees the chats and who is in them
--   rowcall_operator   `rowcall dead list|show|redrive|drop`, `rowcall status`, and what the gateway's console needs besides: reads the
--                      engine's tables, not those of modules; redrives and drops dead letters; changes nothing else. A gateway
--                      without it answers /v1/operator/ with an error and does all the rest
--
-- `rowcall migrate`, `cleanup` and `restored` are the owner's.
--
-- Functions run with the rights of their caller, so that anybody may be allowed to call them (the few that do not have a fixed
-- search_path, and say why): what counts are the tables. What a submitter could do with bare INSERTs of its own is to choose a
-- seq: one that is taken is refused by the primary key, a later one leaves a gap in the commands of that session. Time and
-- transaction are given by the database.

\set ON_ERROR_STOP on
BEGIN;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['rowcall_engine', 'rowcall_submitter', 'rowcall_follower', 'rowcall_reader', 'rowcall_gateway',
                                'rowcall_operator'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        END IF;
    END LOOP;
END $$;

-- From nothing, so that running this again takes back what an older version gave.
REVOKE ALL ON ALL TABLES IN SCHEMA rowcall
    FROM PUBLIC, rowcall_engine, rowcall_submitter, rowcall_follower, rowcall_reader, rowcall_gateway, rowcall_operator;
REVOKE ALL ON SCHEMA rowcall FROM PUBLIC;
GRANT USAGE ON SCHEMA rowcall TO rowcall_engine, rowcall_submitter, rowcall_follower, rowcall_reader, rowcall_operator;

-- What every program looks at when it starts.
GRANT SELECT ON rowcall.migrations, rowcall.incarnation TO rowcall_engine, rowcall_submitter, rowcall_follower;

-- The engine appends to the logs and never changes a row of them; retention deletes from their fronts.
GRANT SELECT, INSERT, DELETE ON rowcall.command_log, rowcall.update_log, rowcall.snapshots TO rowcall_engine;
GRANT SELECT, UPDATE ON rowcall.shards, rowcall.sweep_watermark TO rowcall_engine;
GRANT SELECT, INSERT ON rowcall.kinds, rowcall.sessions TO rowcall_engine;
GRANT SELECT, INSERT, UPDATE, DELETE ON rowcall.nodes TO rowcall_engine;
GRANT SELECT, INSERT, UPDATE, DELETE ON rowcall.retries TO rowcall_engine;
GRANT SELECT, INSERT ON rowcall.dead_letters TO rowcall_engine;
-- The chat module's tables. Those of a module of your own: GRANT likewise.
GRANT SELECT, INSERT, UPDATE, DELETE ON rowcall.chats, rowcall.members, rowcall.messages TO rowcall_engine;

-- A submitter sees that a command is there (its seq, its key, its time), not what it says.
GRANT SELECT (session_id, seq, idempotency_key, created_at), INSERT (session_id, seq, type, idempotency_key, data)
    ON rowcall.command_log TO rowcall_submitter;
GRANT SELECT (session_id), INSERT (session_id) ON rowcall.sessions TO rowcall_submitter;
GRANT SELECT ON rowcall.kinds TO rowcall_submitter;

GRANT SELECT ON rowcall.update_log, rowcall.snapshots, rowcall.updates TO rowcall_follower;

GRANT SELECT ON ALL TABLES IN SCHEMA rowcall TO rowcall_reader;

-- Only where it is not so yet: granting a membership again needs the right to make roles.
DO $$
BEGIN
    IF NOT (pg_has_role('rowcall_gateway', 'rowcall_submitter', 'MEMBER')
            AND pg_has_role('rowcall_gateway', 'rowcall_follower', 'MEMBER')) THEN
        GRANT rowcall_submitter, rowcall_follower TO rowcall_gateway;
    END IF;
END $$;
GRANT SELECT ON rowcall.chats, rowcall.members TO rowcall_gateway;

GRANT SELECT ON rowcall.migrations, rowcall.incarnation, rowcall.kinds, rowcall.nodes, rowcall.shards, rowcall.sweep_watermark,
    rowcall.sessions, rowcall.command_log, rowcall.update_log, rowcall.snapshots, rowcall.retries, rowcall.dead_letters TO rowcall_operator;
-- From migration 11 on these two have the owner's rights, and only who is named here may call them.
GRANT EXECUTE ON FUNCTION rowcall.redrive(text, bigint), rowcall.drop_dead_letter(text, bigint) TO rowcall_operator;

-- Of migrations that this database may not have yet.
DO $$
BEGIN
    IF to_regclass('rowcall.admission') IS NOT NULL THEN
        GRANT SELECT, INSERT, UPDATE ON rowcall.admission TO rowcall_engine;
        GRANT SELECT ON rowcall.admission TO rowcall_submitter;
    END IF;
    IF to_regclass('rowcall.sweep_leftovers') IS NOT NULL THEN
        GRANT SELECT, INSERT, DELETE ON rowcall.sweep_leftovers TO rowcall_engine;
        GRANT SELECT ON rowcall.sweep_leftovers TO rowcall_operator;
    END IF;
    IF to_regprocedure('rowcall.set_overload(integer)') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION rowcall.set_overload(integer) TO rowcall_engine;
    END IF;
END $$;

COMMIT;
