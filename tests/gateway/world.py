"""A gateway, an engine and a database of a test's own on the shared servers (ROWCALL_TEST_SERVERS), and clients for them.

Only the standard library. Everything waits for a condition with a deadline; processes that were started here end here.
Whatever is refused, and every event of a stream, is held against the OpenAPI document.
"""

import base64
import ctypes
import hashlib
import hmac
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid

from document import own_document

ROWCALL = os.environ["ROWCALL_BINARY"]
DEADLINE_S = 30.0
DEVELOPMENT_SECRET = b"rowcall-development-key-everybody-knows-it"


def server_values():
    file = os.environ.get("ROWCALL_TEST_SERVERS", "")
    if not file or not os.path.exists(file):
        raise SystemExit("ROWCALL_TEST_SERVERS names no file: run through ctest, or see tests/support/README.md")
    with open(file, encoding="utf-8") as lines:
        return dict(line.rstrip("\n").split("=", 1) for line in lines if "=" in line)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Process:
    """A child whose output is collected; ends with this object."""

    def __init__(self, arguments, environment):
        self.output = ""
        self.changed = threading.Condition()
        self.child = subprocess.Popen(
            arguments, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", preexec_fn=die_with_parent)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            with self.changed:
                self.output += line
                self.changed.notify_all()
        with self.changed:
            self.output += "\n[ended]\n"
            self.changed.notify_all()

    def wait_for(self, text, deadline_s=DEADLINE_S):
        with self.changed:
            found = self.changed.wait_for(lambda: text in self.output or "[ended]" in self.output, deadline_s)
            if not found or text not in self.output:
                raise AssertionError(f"no {text!r} in the output:\n{self.output}")

    def stop(self, number=signal.SIGTERM, deadline_s=DEADLINE_S):
        if self.child.poll() is None:
            self.child.send_signal(number)
        return self.child.wait(deadline_s)

    def kill(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()


class World:
    def __init__(self, engine=True, gateway=True, gateway_arguments=(), development=True):
        values = server_values()
        self.psql = os.path.join(values["POSTGRES_BIN"], "psql")
        self.admin_url = values["POSTGRES_URL"]
        self.name = "gateway_" + uuid.uuid4().hex[:12]
        self.sql(f'CREATE DATABASE "{self.name}"', self.admin_url)
        self.url = self.admin_url.replace("/postgres?", f"/{self.name}?")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("ROWCALL_")}
        self.environment.update(
            ROWCALL_DATABASE_URL=self.url, ROWCALL_NATS_URL=values["NATS_URL"],
            ROWCALL_SUBJECT_PREFIX="t" + uuid.uuid4().hex[:12], TZ="UTC")
        self.processes = []
        self.roles = []
        self.rowcall("migrate")
        self.engine = self.start_engine() if engine else None
        self.gateway = None
        self.address = None
        if gateway:
            self.gateway, self.address = self.start_gateway(gateway_arguments, development)

    def close(self):
        for process in reversed(self.processes):
            process.kill()
        self.sql(f'DROP DATABASE "{self.name}" WITH (FORCE)', self.admin_url)
        for role in self.roles:
            self.sql(f"DROP ROLE {role}", self.admin_url)

    def sql(self, statement, url=None):
        done = subprocess.run([self.psql, "-XqAt", "-v", "ON_ERROR_STOP=1", url or self.url, "-c", statement],
                              capture_output=True, text=True, timeout=DEADLINE_S)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return done.stdout.strip()

    def hold(self, statement):
        """A psql in whose transaction the statement has been executed: what it locks is held until that process ends."""
        holder = subprocess.Popen([self.psql, "-XqAt", self.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        print(f"BEGIN; {statement}; SELECT 'held';", file=holder.stdin, flush=True)
        while holder.stdout.readline().strip() != "held":
            if holder.poll() is not None:
                raise AssertionError(f"psql ended: {statement}")
        return holder

    def login_as(self, *roles):
        """What makes a program log in as a role of its own that is a member of these, which docs/operations/roles.sql makes."""
        file = os.path.join(os.environ["ROWCALL_SOURCE_DIR"], "docs", "operations", "roles.sql")
        subprocess.run([self.psql, "-Xq", "-d", self.url, "-f", file], check=True, capture_output=True, timeout=DEADLINE_S)
        name = "r" + uuid.uuid4().hex[:12]
        self.sql(f"CREATE ROLE {name} LOGIN IN ROLE {', '.join(roles)}")
        self.roles.append(name)
        return {"ROWCALL_DATABASE_URL": self.url.replace("//rowcall@", f"//{name}@")}

    def rowcall(self, *arguments, expect=0, environment=()):
        done = subprocess.run([ROWCALL, *arguments], env={**self.environment, **dict(environment)}, capture_output=True,
                              text=True, timeout=DEADLINE_S)
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"rowcall {arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def start(self, *arguments, environment=()):
        process = Process([ROWCALL, *arguments], {**self.environment, **dict(environment)})
        self.processes.append(process)
        return process

    def start_engine(self):
        process = self.start("serve")
        process.wait_for(" ready")
        return process

    def start_gateway(self, arguments=(), development=True, environment=()):
        process = self.start("gateway", "--listen", "127.0.0.1:0", *(["--development"] if development else []), *arguments,
                             environment=environment)
        process.wait_for("gateway: http://")
        address = process.output.split("gateway: http://", 1)[1].split()[0]
        process.wait_for(" info ready")
        return process, address

    def client(self, user=None, address=None):
        return Client(address or self.address, token_of(user) if user else None)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(claims, secret=DEVELOPMENT_SECRET, header=None):
    header = {"alg": "HS256", "typ": "JWT", "kid": "development"} if header is None else header
    signed = base64url(json.dumps(header).encode()) + "." + base64url(json.dumps(claims).encode())
    return signed + "." + base64url(hmac.new(secret, signed.encode(), hashlib.sha256).digest())


def token_of(user, **claims):
    return sign({"sub": user, "exp": int(time.time()) + 3600, **claims})


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)


class Client:
    """One kept connection."""

    def __init__(self, address, token=None):
        host, port = address.rsplit(":", 1)
        self.connection = http.client.HTTPConnection(host, int(port), timeout=DEADLINE_S)
        self.token = token

    def close(self):
        self.connection.close()

    def request(self, method, path, body=None, headers=(), token=None):
        fields = dict(headers)
        token = token or self.token
        if token and "Authorization" not in fields and "Cookie" not in fields:
            fields["Authorization"] = "Bearer " + token
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            fields.setdefault("Content-Type", "application/json")
        self.connection.request(method, path, body=body, headers=fields)
        response = self.connection.getresponse()
        answer = Answer(response, response.read())
        if answer.status >= 400:
            own_document().check_refusal(method, path, answer)
        return answer

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body, **more):
        return self.request("POST", path, body, **more)

    def submit(self, session, type, data=None, key=None, wait="10s"):
        answer = self.post(f"/v1/sessions/{session}/commands" + (f"?wait={wait}" if wait else ""),
                           {"type": type, "data": data or {}}, headers={"Idempotency-Key": key} if key else {})
        if answer.status not in (200, 202):
            raise AssertionError(f"{answer.status} {answer.body!r}")
        return answer.json["receipts"][0]

    def stream(self, path, headers=(), receive_bytes=None):
        return Stream(self.connection.host, self.connection.port, path, self.token, headers, receive_bytes)


class Stream:
    """An event stream; events are (name, id, data) with the data read as JSON."""

    def __init__(self, host, port, path, token, headers=(), receive_bytes=None):
        self.connection = http.client.HTTPConnection(host, port, timeout=DEADLINE_S)
        if receive_bytes:  # the kernel takes little ahead of whoever reads
            self.connection.sock = socket.socket()
            self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            self.connection.sock.settimeout(DEADLINE_S)
            self.connection.sock.connect((host, port))
        fields = {"Accept": "text/event-stream", **dict(headers)}
        if token:
            fields["Authorization"] = "Bearer " + token
        self.connection.request("GET", path, headers=fields)
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.refusal = None
        if self.status != 200:
            self.refusal = Answer(self.response, self.response.read())
            own_document().check_refusal("GET", path, self.refusal)
        self.last_id = None
        self.comments = 0

    def event(self):
        """The next one; None at the end of the stream."""
        name, data, event_id = "message", [], None
        until = time.monotonic() + DEADLINE_S
        while True:
            line = self.response.readline()
            if not line:
                return None
            line = line.decode().rstrip("\n")
            if line.startswith(":"):
                self.comments += 1
                if time.monotonic() > until:
                    raise AssertionError("nothing but signs of life")
            elif line.startswith("event: "):
                name = line[7:]
            elif line.startswith("id: "):
                event_id = line[4:]
            elif line.startswith("data: "):
                data.append(line[6:])
            elif line == "" and data:
                if event_id is not None:
                    self.last_id = event_id
                body = json.loads("\n".join(data))
                own_document().check_event(name, event_id, body)
                return name, event_id, body

    def until(self, name):
        """All events up to the first of that name, it included."""
        seen = []
        while True:
            event = self.event()
            if event is None:
                raise AssertionError(f"the stream ended without {name!r}: {seen}")
            seen.append(event)
            if event[0] == name:
                return seen

    def updates(self, count):
        found = []
        while len(found) < count:
            event = self.event()
            if event is None:
                raise AssertionError(f"the stream ended after {found}")
            if event[0] == "message":
                found.append(event[2])
        return found

    def problem(self):
        return self.refusal.json

    def close(self):
        self.response.close()
        self.connection.close()


def raw(address, data, half_close=True, deadline_s=DEADLINE_S):
    """Sends bytes as they are; everything that comes back until the other end closes."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=deadline_s) as connection:
        connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while True:
            try:
                piece = connection.recv(65536)
            except ConnectionResetError:
                return answer
            if not piece:
                check_refusals(data, answer)
                return answer
            answer += piece


class Bytes(io.BytesIO):
    """What http.client reads several answers from instead of a socket."""

    def makefile(self, *_):
        return self

    def close(self):
        pass


def check_refusals(sent, received):
    """Each of the answers that came for these bytes."""
    asked = sent.split(b"\r\n")[0].split(b" ")
    # Only the first one answers the first line.
    method, path = (asked[0].decode(), asked[1].decode()) if len(asked) == 3 and sent.isascii() else ("GET", "/")
    source = Bytes(received)
    while source.tell() < len(received):
        response = http.client.HTTPResponse(source)
        response.begin()
        answer = Answer(response, response.read())
        if answer.status >= 400:
            own_document().check_refusal(method, path, answer)
        method, path = "GET", "/"


def directory():
    return tempfile.mkdtemp(prefix="rowcall-gateway-")
