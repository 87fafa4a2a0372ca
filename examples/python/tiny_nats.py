"""As much of the NATS protocol as Rowcall needs: CONNECT, PUB, SUB, PING, PONG and MSG over one socket.

https://docs.nats.io/reference/reference-protocols/nats-protocol. No TLS, no threads; one connection to the first server
that answers. Whatever goes wrong is an OSError: the caller closes it and makes a new one.
"""

import json
import select
import socket
import time
from urllib.parse import unquote, urlsplit


class TinyNats:
    def __init__(self, urls, timeout=2.0):
        """Connects and waits until the server has answered. `urls`: one, or several separated by commas."""
        error = OSError("no NATS server is configured")
        for url in urls.split(","):
            self._socket = None
            try:
                return self._connect(urlsplit(url.strip()), timeout)
            except OSError as e:
                error = e
                self.close()
        raise error

    def _connect(self, url, timeout):
        self._received = b""
        self._waiting = []  # messages that came while something else was waited for
        self._subscriptions = 0
        self._unanswered = 0
        self._socket = socket.create_connection((url.hostname or "127.0.0.1", url.port or 4222), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        options = {"verbose": False, "pedantic": False, "lang": "python", "version": "0", "protocol": 1, "name": "rowcall example"}
        if url.username:
            options.update(user=unquote(url.username), **{"pass": unquote(url.password or "")})
        self._send(b"CONNECT " + json.dumps(options).encode() + b"\r\n")
        self.flush(timeout)  # the server's INFO, and its -ERR if it does not let us in

    def close(self):
        if self._socket is not None:
            self._socket.close()

    def publish(self, subject, payload=b""):
        self._send(f"PUB {subject} {len(payload)}\r\n".encode() + payload + b"\r\n")

    def subscribe(self, subject):
        self._subscriptions += 1
        self._send(f"SUB {subject} {self._subscriptions}\r\n".encode())

    def ping(self):
        """Asks the server for a sign of life, without waiting. Raises when it left the last two unanswered."""
        if self._unanswered >= 2:
            raise TimeoutError("the NATS server does not answer")
        self._unanswered += 1
        self._send(b"PING\r\n")

    def flush(self, timeout=2.0):
        """Returns when the server has seen everything that was sent before."""
        self._unanswered += 1
        self._send(b"PING\r\n")
        deadline = time.monotonic() + timeout
        while self._unanswered > 0:
            self._read(deadline)
            if self._unanswered > 0 and time.monotonic() >= deadline:
                raise TimeoutError("the NATS server does not answer")

    def next(self, timeout):
        """The next message as (subject, payload), or None when none came within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not self._waiting:
            self._read(deadline)
            if not self._waiting and time.monotonic() >= deadline:
                return None
        return self._waiting.pop(0)

    def _send(self, data):
        self._socket.sendall(data)

    def _read(self, deadline):
        """Takes in what has come, after waiting for it until the deadline, and handles all that is complete."""
        if select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))[0]:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the NATS server closed the connection")
            self._received += data
        while self._take_one():
            pass

    def _take_one(self):
        line, end, rest = self._received.partition(b"\r\n")
        if not end:
            return False
        verb, _, arguments = line.partition(b" ")
        verb = verb.upper()
        if verb == b"MSG":  # MSG <subject> <subscription> [reply-to] <bytes>, then the payload and an end of line
            words = arguments.split()
            size = int(words[-1])
            if len(rest) < size + 2:
                return False
            self._waiting.append((words[0].decode(), rest[:size]))
            rest = rest[size + 2 :]
        elif verb == b"PING":
            self._send(b"PONG\r\n")
        elif verb == b"PONG":
            self._unanswered = max(0, self._unanswered - 1)
        elif verb == b"-ERR":
            raise ConnectionError(f"the NATS server says {arguments.decode()}")
        self._received = rest  # INFO and +OK: nothing to do
        return True
