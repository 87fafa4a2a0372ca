#!/usr/bin/python3
"""Counts the messages of every chat, per minute, each message exactly once.

    analytics.py          follows all chats, for ever
    analytics.py --once   counts what there is, and ends

A component of its own: it reads update logs and writes tables in a schema of its own; engine and chat do not know of it.
What makes it exact is that a chat's counts and the position up to which it has been counted are written in one transaction: a
process that is killed, at whatever moment, has done both or neither, and the next one goes on from there. Several may run.

    psql "$ROWCALL_DATABASE_URL" -c 'TABLE analytics.messages_per_minute'

Reads ROWCALL_DATABASE_URL, ROWCALL_NATS_URL and ROWCALL_SUBJECT_PREFIX, as `rowcall` itself does.
"""

import os
import sys
import time
from collections import Counter
from pathlib import Path

import psycopg2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))
from tiny_nats import TinyNats  # noqa: E402

PAGE = 500  # updates of one transaction
LOOK_SECONDS = 2.0  # how long a lost notice can go unnoticed
RETRY_SECONDS = 0.5

SCHEMA = """
SELECT pg_advisory_xact_lock(hashtext('analytics'));  -- IF NOT EXISTS alone is not safe when two start at once
CREATE SCHEMA IF NOT EXISTS analytics;
CREATE TABLE IF NOT EXISTS analytics.cursors (
    chat_id text COLLATE "C" PRIMARY KEY,
    seq     bigint NOT NULL DEFAULT 0,  -- counted up to here
    missed  bigint NOT NULL DEFAULT 0   -- updates that retention removed before they were counted
);
CREATE TABLE IF NOT EXISTS analytics.messages_per_minute (
    chat_id  text COLLATE "C",
    minute   timestamptz,
    messages bigint NOT NULL,
    PRIMARY KEY (chat_id, minute)
);
"""

# One index probe for each chat.
BEHIND = """
SELECT s.session_id
FROM rowcall.sessions s LEFT JOIN analytics.cursors c ON c.chat_id = s.session_id
WHERE s.session_id >= 'chat-' AND s.session_id < 'chat.'
  AND coalesce(c.seq, 0) < (SELECT max(u.seq) FROM rowcall.updates u WHERE u.session_id = s.session_id)
"""


def count_page(connection, chat):
    """Counts the next page of a chat in one transaction. True when there may be more."""
    with connection, connection.cursor() as cursor:  # COMMIT at the end, ROLLBACK after an exception
        # Another analytics that counts this chat waits here, and then reads on from where this one ended.
        cursor.execute("SELECT seq FROM analytics.cursors WHERE chat_id = %s FOR UPDATE", (chat,))
        row = cursor.fetchone()
        if row is None:  # a new chat
            cursor.execute("INSERT INTO analytics.cursors (chat_id) VALUES (%s) ON CONFLICT DO NOTHING", (chat,))
            return True
        (position,) = row
        cursor.execute("SELECT seq, type, created_at FROM rowcall.updates_after(%s, %s, %s)", (chat, position, PAGE))
        page = cursor.fetchall()
        if not page:
            return False
        minutes = Counter(at.replace(second=0, microsecond=0) for _, type, at in page if type == "new_message")
        for minute, messages in minutes.items():
            cursor.execute(
                "INSERT INTO analytics.messages_per_minute AS old (chat_id, minute, messages) VALUES (%s, %s, %s)"
                " ON CONFLICT (chat_id, minute) DO UPDATE SET messages = old.messages + excluded.messages",
                (chat, minute, messages),
            )
        first, last = page[0][0], page[-1][0]
        cursor.execute(
            "UPDATE analytics.cursors SET seq = %s, missed = missed + %s WHERE chat_id = %s",
            (last, first - position - 1, chat),
        )
    return len(page) == PAGE


def count_all(connection):
    with connection, connection.cursor() as cursor:
        cursor.execute(BEHIND)
        chats = [chat for (chat,) in cursor.fetchall()]
    for chat in chats:
        while count_page(connection, chat):
            pass


def wait_for_notices(nats, subject, seconds):
    """The chats that notices named. Returns with the first of them, and all that came with it."""
    chats = set()
    message = nats.next(seconds)
    if message is None:
        nats.ping()
    while message:
        session = message[0][len(subject) - 1 :]
        if session.startswith("chat-"):
            chats.add(session)
        message = nats.next(0)
    return chats


def follow(connection, nats_url, subject):
    """Counts for ever. Notices only make it fast: whatever they miss is seen every LOOK_SECONDS."""
    nats = None
    looked_at = 0.0
    while True:
        if nats is None:
            try:
                nats = TinyNats(nats_url)
                nats.subscribe(subject)
                nats.flush()  # before the look, so that nothing falls between
            except OSError:
                nats = None
                time.sleep(RETRY_SECONDS)
            looked_at = 0.0
        if time.monotonic() >= looked_at + LOOK_SECONDS:
            looked_at = time.monotonic()
            count_all(connection)
        if nats is not None:
            try:
                for chat in wait_for_notices(nats, subject, max(0.0, looked_at + LOOK_SECONDS - time.monotonic())):
                    while count_page(connection, chat):
                        pass
            except OSError:
                nats.close()
                nats = None


def main():
    if sys.argv[1:] not in ([], ["--once"]):
        sys.exit(__doc__)
    while True:
        connection = None
        try:
            connection = psycopg2.connect(os.environ["ROWCALL_DATABASE_URL"])
            with connection, connection.cursor() as cursor:
                cursor.execute(SCHEMA)
            if "--once" in sys.argv:
                return count_all(connection)
            subject = os.environ.get("ROWCALL_SUBJECT_PREFIX", "rowcall") + ".updates.*"
            follow(connection, os.environ.get("ROWCALL_NATS_URL", "nats://127.0.0.1:4222"), subject)
        except psycopg2.Error as error:
            # Without a code, or with one of these, the connection is lost; the exception's class does not tell (a server that crashes
            # is a plain DatabaseError).
            is_lost = error.pgcode is None or error.pgcode.startswith(("08", "57P0"))
            if isinstance(error, psycopg2.ProgrammingError) or not is_lost:
                raise
            print(f"analytics: {str(error).strip()}; trying again", file=sys.stderr, flush=True)
            time.sleep(RETRY_SECONDS)
        finally:
            if connection is not None:
                connection.close()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
