"""A Rowcall client in Python, written from docs/protocol.md alone: psycopg2 for the truth, NATS for the hints.

    client = Client(database_url, nats_url)
    seq, outcome = client.submit("echo-a", "say", {"text": "hello"}, key="greeting-1")
    for update in client.receipt("echo-a", seq): print(update)
    for update in client.follow("echo-a", after=17): print(update)      # 18, 19, … live, for ever

One thread, one session followed at a time. PostgreSQL or NATS may go away and come back at any time; without NATS everything takes up to a second longer.
"""

import json
import logging
import sys
import time
from collections import namedtuple

import psycopg2
import psycopg2.extensions

from tiny_nats import TinyNats

Update = namedtuple("Update", "seq command_seq type data")
#: What a follower has goes no further: retention has removed what came next, or an older state of the database was restored and
#: all that was told is void. `state` is the session's state after update `seq` (None and 0: its log is whole); its updates go on after
#: it.
Gone = namedtuple("Gone", "seq state")

PAGE = 500  # updates read at once
POLL_SECONDS = 1.0  # how long a lost notice can go unnoticed
RETRY_SECONDS = 0.5  # between two attempts to reach a server

sys.setrecursionlimit(max(sys.getrecursionlimit(), 4096))  # data is nested up to 1,024 deep, and json goes down by calls


def is_lost(error):
    """Whether the connection is lost, not the statement wrong: the exception's class does not tell, a server that crashes is a
    plain DatabaseError, and a deadlock or an overload an OperationalError."""
    if isinstance(error, psycopg2.ProgrammingError):
        return False
    return error.pgcode is None or error.pgcode.startswith(("08", "57P0"))


class Refused(Exception):
    """The command was not stored: its session's kind is unknown, or too much is pending."""


class Client:
    def __init__(self, database_url, nats_url, prefix="rowcall"):
        self._database_url = database_url
        self._nats_url = nats_url
        self._prefix = prefix
        self._connection = None
        self._log = logging.getLogger("rowcall")
        self._is_away = {"PostgreSQL": False, "NATS": False}  # so that an outage is told once
        self._nats = None
        self._nats_retry_at = 0.0
        self._nats_connects = 0
        self._subjects = []  # subscribed now, and again after a reconnect

    def close(self):
        try:
            if self._nats:
                self._nats.flush()  # a wake that is still under way
        except OSError:
            pass
        self._drop_nats()
        self._drop_database()

    def _tell(self, server, error):
        if error is not None and not self._is_away[server]:
            self._log.warning("%s is away, trying again: %s", server, str(error).strip())
        self._is_away[server] = error is not None

    # ------------------------------------------------------------ submit

    def submit(self, session, type, data, key=None, retry_seconds=10.0):
        """Stores a command durably: its seq, and "stored" or, when the key was there, "duplicate".

        Tries again while the database is away. Only with a key also when the answer to COMMIT was lost: without one nobody
        knows whether the command is there, and the error is raised.
        """
        deadline = time.monotonic() + retry_seconds
        while True:
            is_in_doubt = False
            try:
                with self._database().cursor() as cursor:
                    is_in_doubt = True
                    # One statement in autocommit is a transaction: when execute() returns, the command is durable.
                    cursor.execute(
                        "SELECT seq, outcome FROM rowcall.submit_batch(%s::text[], %s::text[], %s::text[], %s::text[])",
                        ([session], [type], [json.dumps(data)], [key]),
                    )
                    seq, outcome = cursor.fetchone()
                break
            except psycopg2.Error as error:
                if not is_lost(error):
                    raise
                self._drop_database(error)
                if (is_in_doubt and key is None) or time.monotonic() >= deadline:
                    raise
                time.sleep(RETRY_SECONDS)
        if seq is None:
            raise Refused(outcome)
        self._wake(session, seq)  # only now: an engine that hears of a command must find it
        return seq, outcome

    def _wake(self, session, seq):
        """Best effort: without it the engine's sweep finds the command within about a second."""
        try:
            nats = self._connected_nats()
            if nats:
                nats.publish(f"{self._prefix}.wake.{session}", json.dumps({"last": seq}).encode())
        except OSError as error:
            self._drop_nats(error)

    # ------------------------------------------------------------ follow

    def follow(self, session, after=0):
        """Yields every update after `after`, each once, in order, without a gap (or a Gone), live and for ever.

        `after` is a seq of the database as it is now: after a restore, begin anew.
        """
        self._subscribe(f"{self._prefix}.updates.{session}")
        position = after
        incarnation = None  # of the database that the position is from
        must_read = True  # after the subscription, so that nothing falls between
        polled_at = 0.0
        while True:
            if must_read or time.monotonic() >= polled_at + POLL_SECONDS:
                connects, started_at = self._nats_connects, time.monotonic()
                seen = self._updates_after(session, position)
                if seen is None:  # the database is away
                    time.sleep(RETRY_SECONDS)
                    continue
                read_from, page = seen
                polled_at = started_at
                must_read = len(page) == PAGE
                incarnation = incarnation or read_from
                if read_from != incarnation or (page and page[0].seq != position + 1):
                    gone = self._snapshot(session)
                    must_read = True
                    if gone:
                        position, incarnation = gone.seq, read_from
                        yield gone
                    continue
                for update in page:
                    position = update.seq
                    yield update
                continue
            notice = self._next_notice(polled_at + POLL_SECONDS - time.monotonic())
            if self._nats_connects != connects:
                must_read = True  # what was published while the connection was away was not heard
            if notice and notice["session"] == session and notice["last"] > position:
                if notice["first"] == position + 1 and "updates" in notice:
                    for row in notice["updates"]:
                        position = row["seq"]
                        yield Update(row["seq"], row["command_seq"], row["type"], row["data"])
                else:
                    must_read = True

    def _snapshot(self, session):
        rows = self._read("SELECT seq, state FROM rowcall.snapshots WHERE session_id = %s ORDER BY seq DESC LIMIT 1", (session,))
        # Retention only removes what a snapshot covers; after a restore there may be none.
        return None if rows is None else Gone(*rows[0]) if rows else Gone(0, None)

    # ------------------------------------------------------------ receipts

    def receipt(self, session, seq, timeout=10.0):
        """Waits until the command is done: its updates, the first of which may be a rejection. Empty at the timeout."""
        self._subscribe(f"{self._prefix}.updates.{session}")
        deadline = time.monotonic() + timeout
        while True:
            rows = self._read("SELECT seq, command_seq, type, data FROM rowcall.updates_of(%s, %s)", (session, seq))
            if rows:
                return [Update(*row) for row in rows]
            left = deadline - time.monotonic()
            if left <= 0:
                return []
            if rows is None:
                time.sleep(min(left, RETRY_SECONDS))
            else:
                self._next_notice(min(left, POLL_SECONDS / 4))

    # ------------------------------------------------------------ PostgreSQL

    def _database(self):
        if self._connection is None or self._connection.closed:
            connection = psycopg2.connect(self._database_url)
            # submit_batch insists on it, and reading must not leave a transaction open.
            connection.set_session(isolation_level=psycopg2.extensions.ISOLATION_LEVEL_READ_COMMITTED, autocommit=True)
            self._connection = connection
            self._tell("PostgreSQL", None)
        return self._connection

    def _drop_database(self, error=None):
        self._tell("PostgreSQL", error)
        if self._connection is not None:
            try:
                self._connection.close()
            except psycopg2.Error:
                pass
        self._connection = None

    def _read(self, sql, arguments):
        """The rows, or None while the database is away."""
        try:
            with self._database().cursor() as cursor:
                cursor.execute(sql, arguments)
                return cursor.fetchall()
        except psycopg2.Error as error:
            if not is_lost(error):
                raise
            self._drop_database(error)
            return None

    def _updates_after(self, session, position):
        """The database's incarnation and a page of updates, both of one moment; None while the database is away."""
        rows = self._read(
            "SELECT i.incarnation, u.seq, u.command_seq, u.type, u.data FROM rowcall.incarnation i"
            " LEFT JOIN rowcall.updates_after(%s, %s, %s) u ON true ORDER BY u.seq",
            (session, position, PAGE),
        )
        return None if rows is None else (rows[0][0], [Update(*row[1:]) for row in rows if row[1] is not None])

    # ------------------------------------------------------------ NATS

    def _connected_nats(self):
        """The connection, made anew when it is time for that; None while the server is away."""
        if self._nats is None and time.monotonic() >= self._nats_retry_at:
            self._nats_retry_at = time.monotonic() + RETRY_SECONDS
            try:
                self._nats = TinyNats(self._nats_url)
                for subject in self._subjects:
                    self._nats.subscribe(subject)
                self._nats.flush()
                self._nats_connects += 1
                self._tell("NATS", None)
            except OSError as error:
                self._drop_nats(error)
        return self._nats

    def _drop_nats(self, error=None):
        self._tell("NATS", error)
        if self._nats is not None:
            self._nats.close()
        self._nats = None

    def _subscribe(self, subject):
        """Returns when the server knows of the subscription. Without a server it is made with the next connection."""
        if subject in self._subjects:
            return
        try:
            nats = self._connected_nats()
            self._subjects.append(subject)
            if nats:
                nats.subscribe(subject)
                nats.flush()
        except OSError as error:
            self._drop_nats(error)

    def _next_notice(self, timeout):
        """A notice, or None when none came within `timeout` seconds."""
        timeout = max(timeout, 0.0)
        nats = self._connected_nats()
        if nats is None:
            time.sleep(min(timeout, RETRY_SECONDS))
            return None
        try:
            message = nats.next(timeout)
            if message:
                return json.loads(message[1])
            nats.ping()
        except OSError as error:
            self._drop_nats(error)
        except ValueError:
            pass  # no notice of ours
        return None
