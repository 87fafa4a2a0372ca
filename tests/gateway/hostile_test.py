"""Attempts to get in where one does not belong, and requests that are not what they seem."""

import base64
import json
import os
import re
import socket
import subprocess
import threading
import time
import unittest

from world import DEVELOPMENT_SECRET, Client, World, base64url, directory, raw, sign, token_of


def statuses(answer):
    return [int(s) for s in re.findall(rb"HTTP/1\.1 (\d\d\d) ", answer)]


class hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        # A room that mallory is not in.
        ann = cls.world.client("ann")
        ann.submit("user-ann", "create_chat", {"name": "Private", "chat_id": "chat-private"})
        stream = ann.stream("/v1/sessions/user-ann/updates?after=0")
        while not any(u["type"] == "chat_joined" for u in stream.updates(1)):
            pass
        stream.close()
        ann.submit("user-ann", "post_message", {"chat_id": "chat-private", "text": "secret"})

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def stored(self):
        return self.world.sql("SELECT count(*) FROM rowcall.command_log")

    # ------------------------------------------------------------ tokens

    def test_tokens_that_prove_nothing_are_refused(self):
        good = {"sub": "ann", "exp": int(time.time()) + 3600}
        none = {"alg": "none", "typ": "JWT", "kid": "development"}
        header, claims, signature = sign(good).split(".")
        unsigned = base64url(json.dumps(none).encode()) + "." + base64url(json.dumps(good).encode()) + "."
        tokens = {
            "expired": sign({**good, "exp": int(time.time()) - 1}),
            "without an end": sign({"sub": "ann"}),
            "not yet valid": sign({**good, "nbf": int(time.time()) + 600}),
            "of another secret": sign(good, b"another secret of at least 32 bytes"),
            "without a signature": header + "." + claims + ".",
            "alg none": unsigned,
            "alg none, upper case": base64url(json.dumps({**none, "alg": "NONE"}).encode()) + "." + claims + ".",
            "alg none with a signature": base64url(json.dumps(none).encode()) + "." + claims + "." + signature,
            "two algs": base64url(b'{"alg":"HS256","alg":"none","kid":"development"}') + "." + claims + ".",
            "another algorithm of the same secret": sign(good, DEVELOPMENT_SECRET, {"alg": "HS512", "typ": "JWT", "kid": "development"}),
            "without a key": sign(good, DEVELOPMENT_SECRET, {"alg": "HS256", "typ": "JWT"}),
            "of an unknown key": sign(good, DEVELOPMENT_SECRET, {"alg": "HS256", "kid": "other"}),
            "a key that is a path": sign(good, b"", {"alg": "HS256", "kid": "../../../dev/null"}),
            "other claims under the signature": header + "." + base64url(json.dumps({**good, "sub": "bob"}).encode()) + "." + signature,
            "a user that is a path": sign({**good, "sub": "../ann"}),
            "no user's name": sign({**good, "sub": 5}),
            "follow everything": sign({**good, "follow": ["*"]}),
            "not a token": "abc", "empty parts": "..", "long": "a" * 9000,
        }
        for what, token in tokens.items():
            with self.subTest(what):
                c = Client(self.world.address)
                self.assertEqual(c.get("/v1/me", token=token).status, 401)
                self.assertEqual(c.get("/v1/me", headers={"Cookie": "rowcall_token=" + token}).status, 401)
                self.assertEqual(c.get("/v1/sessions/user-ann/updates", token=token).status, 401)
        self.assertEqual(Client(self.world.address).get("/v1/me", token=sign(good)).status, 200)

    def test_a_public_key_is_no_secret(self):
        keys = directory()
        subprocess.run(["openssl", "genrsa", "-out", f"{keys}/a.rs256.key.pem", "2048"], check=True, capture_output=True)
        subprocess.run(["openssl", "rsa", "-in", f"{keys}/a.rs256.key.pem", "-pubout", "-out", f"{keys}/a.rs256.pub.pem"],
                       check=True, capture_output=True)
        gateway, address = self.world.start_gateway(["--token-keys", keys], development=False)
        token = self.world.rowcall("token", "issue", "--token-keys", keys, "--user", "ann").stdout.strip()
        self.assertEqual(Client(address).get("/v1/me", token=token).json["user"], "ann")
        with open(f"{keys}/a.rs256.pub.pem", "rb") as file:
            public = file.read()
        forged = sign({"sub": "ann", "exp": int(time.time()) + 600}, public, {"alg": "HS256", "typ": "JWT", "kid": "a"})
        self.assertEqual(Client(address).get("/v1/me", token=forged).status, 401)
        self.assertEqual(Client(address).get("/v1/me", token=token_of("ann")).status, 401)
        self.assertEqual(Client(address).post("/v1/dev/login", {"name": "ann"}).status, 404)
        gateway.stop()

    def test_keys_are_rotated_while_the_gateway_runs(self):
        keys = directory()
        with open(f"{keys}/one.hs256", "w", encoding="utf-8") as file:
            file.write("1" * 40 + "\n")
        _, address = self.world.start_gateway(["--token-keys", keys], development=False)
        old = self.world.rowcall("token", "issue", "--token-keys", keys, "--user", "rot").stdout.strip()
        stream = Client(address, old).stream("/v1/sessions/user-rot/updates")
        stream.until("ready")
        with open(f"{keys}/two.hs256", "w", encoding="utf-8") as file:
            file.write("2" * 40 + "\n")
        new = self.world.rowcall("token", "issue", "--token-keys", keys, "--user", "rot").stdout.strip()
        self.eventually(lambda: Client(address).get("/v1/me", token=new).status == 200)
        self.assertEqual(Client(address).get("/v1/me", token=old).status, 200)
        os.remove(f"{keys}/one.hs256")
        # A stream that the old key let in ends with it.
        self.assertEqual(stream.until("expired")[-1][0], "expired")
        self.assertEqual(Client(address).get("/v1/me", token=old).status, 401)
        self.assertEqual(Client(address).get("/v1/me", token=new).status, 200)
        self.assertEqual(self.world.rowcall("token", "inspect", old, "--token-keys", keys, expect=3).returncode, 3)

    def test_a_token_says_what_it_was_issued_for(self):
        keys = directory()
        for name in ("one", "two"):
            with open(f"{keys}/{name}.hs256", "w", encoding="utf-8") as file:
                file.write(name * 20)
        read = lambda part: json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        plain = self.world.rowcall("token", "issue", "--token-keys", keys, "--user", "ann").stdout.strip()
        self.assertEqual(read(plain.split(".")[0])["kid"], "two", "the last by name")
        claims = read(plain.split(".")[1])
        self.assertEqual((claims["sub"], claims["exp"] - claims["iat"], "operator" in claims), ("ann", 3600, False))
        before = int(time.time())
        issued = json.loads(self.world.rowcall(
            "token", "issue", "--token-keys", keys, "--kid", "one", "--user", "ann", "--submit", "echo-*", "--submit", "user-ann",
            "--follow", "echo-1", "--lifetime", "90m", "--operator", "--json").stdout)
        token = issued["token"]
        header, claims = map(read, token.split(".")[:2])
        self.assertEqual((header["alg"], header["kid"], issued["claims"]), ("HS256", "one", claims))
        self.assertTrue(before <= claims.pop("iat") == claims.pop("exp") - 5400)
        self.assertEqual(claims, {"sub": "ann", "submit": ["echo-*", "user-ann"], "follow": ["echo-1"], "operator": True})
        # What `inspect` shows is the same, and whether it would be accepted only where there are keys.
        for arguments, verdict in (((), "not checked: give --token-keys DIR or --development"), (("--token-keys", keys), "accepted")):
            shown = json.loads(self.world.rowcall("token", "inspect", token, *arguments, "--json").stdout)
            self.assertEqual((shown["header"], shown["claims"], shown["verdict"]), (header, issued["claims"], verdict))
            lines = dict(line.split(maxsplit=1) for line in self.world.rowcall("token", "inspect", token, *arguments).stdout.splitlines())
            self.assertEqual((json.loads(lines["header"]), json.loads(lines["claims"]), lines["verdict"]), (header, issued["claims"], verdict))
        _, address = self.world.start_gateway(["--token-keys", keys], development=False)
        me = Client(address, token).get("/v1/me").json
        self.assertEqual((me["user"], me["submit"], me["follow"], me["operator"]), ("ann", ["echo-*", "user-ann"], ["echo-1"], True))

    def test_production_does_not_start_with_a_key_that_everybody_knows(self):
        missing = self.world.rowcall("gateway", "--listen", "127.0.0.1:0", expect=2)
        self.assertIn("--token-keys", missing.stderr)
        keys = directory()
        with open(f"{keys}/mine.hs256", "wb") as file:
            file.write(DEVELOPMENT_SECRET)
        known = self.world.rowcall("gateway", "--listen", "127.0.0.1:0", "--token-keys", keys, expect=2)
        self.assertIn("everybody knows", known.stderr)
        with open(f"{keys}/mine.hs256", "w", encoding="utf-8") as file:
            file.write("short")
        self.assertIn("32 bytes", self.world.rowcall("gateway", "--token-keys", keys, expect=2).stderr)
        both = self.world.rowcall("gateway", "--development", "--token-keys", keys, expect=2)
        self.assertIn("not both", both.stderr)

    def test_a_stream_ends_with_its_token(self):
        token = sign({"sub": "brief", "exp": int(time.time()) + 2})
        stream = Client(self.world.address, token).stream("/v1/sessions/user-brief/updates")
        self.assertEqual([e[0] for e in stream.until("expired")], ["incarnation", "ready", "expired"])
        self.assertIsNone(stream.event())

    # ------------------------------------------------------------ others' sessions

    def test_another_users_session_is_closed(self):
        c = self.world.client("mallory")
        before = self.stored()
        self.assertEqual(c.post("/v1/sessions/user-ann/commands", {"type": "select_chat", "data": {}}).status, 403)
        for path in ("/v1/sessions/user-ann/updates", "/v1/sessions/user-ann", "/v1/sessions/user-ann/snapshot",
                     "/v1/sessions/user-ann/updates?before=end"):
            self.assertEqual(c.get(path).status, 403, path)
        self.assertEqual(c.stream("/v1/sessions/user-ann/updates").status, 403)
        mixed = c.stream("/v1/stream?session=user-mallory&session=user-ann")
        self.assertEqual((mixed.status, mixed.problem()["session"]), (403, "user-ann"))
        self.assertEqual(c.post("/v1/sessions/user-ann/signals", {"type": "typing"}).status, 403)
        self.assertEqual(self.stored(), before)

    def test_a_chat_is_for_its_members(self):
        c = self.world.client("mallory")
        for path in ("/v1/sessions/chat-private/updates", "/v1/sessions/chat-private", "/v1/sessions/chat-private/snapshot"):
            answer = c.get(path)
            self.assertEqual(answer.status, 403, path)
            self.assertNotIn(b"secret", answer.body)
        self.assertEqual(c.stream("/v1/sessions/chat-private/updates").status, 403)
        self.assertEqual(c.stream("/v1/stream?session=chat-private:0").status, 403)
        self.assertEqual(c.post("/v1/sessions/chat-private/signals", {"type": "typing"}).status, 403)
        self.assertEqual(c.post("/v1/sessions/chat-private/commands", {"type": "post_message", "data": {"text": "x"}}).status, 403)

    def test_nobody_makes_himself_a_member(self):
        c = self.world.client("forger")
        for type, data in (("chat_joined", {"chat_id": "chat-private", "name": "Private"}), ("chat_left", {"chat_id": "chat-x"}),
                           ("request_refused", {"chat_id": "chat-x", "type": "x", "reason": "y"})):
            self.assertEqual(c.post("/v1/sessions/user-forger/commands", {"type": type, "data": data}).status, 403)
        # Even when his own log says so (a command from elsewhere), the chat decides.
        self.world.rowcall("submit", "user-forger", "chat_joined", '{"chat_id": "chat-private", "name": "Private"}', "--wait=10s")
        self.assertEqual(c.get("/v1/sessions/chat-private/updates").status, 403)
        self.assertEqual(c.stream("/v1/sessions/chat-private/updates").status, 403)

    def test_a_chat_just_left_is_closed_also_to_who_stands_beyond_its_end(self):
        ann, eve = self.world.client("ann"), self.world.client("eve")
        eve.submit("user-eve", "join_chat", {"chat_id": "chat-private"})
        self.eventually(lambda: eve.get("/v1/sessions/chat-private").status == 200)
        beyond = eve.stream("/v1/sessions/chat-private/updates?after=1000000")
        self.assertEqual((beyond.status, "beyond" in beyond.problem()["detail"]), (400, True))
        resumed = eve.stream("/v1/sessions/chat-private/updates?after=0", headers={"Last-Event-ID": "1000000"})
        self.assertEqual(resumed.status, 400)
        stream = eve.stream("/v1/sessions/chat-private/updates?after=end")
        stream.until("ready")
        eve.submit("user-eve", "leave_chat", {"chat_id": "chat-private"})
        stream.until("left")
        self.assertIsNone(stream.event())
        ann.submit("user-ann", "post_message", {"chat_id": "chat-private", "text": "without eve"})
        self.assertEqual(eve.get("/v1/sessions/chat-private/updates").status, 403)
        self.assertEqual(eve.post("/v1/sessions/chat-private/signals", {"type": "typing"}).status, 403)

    def test_whoever_comes_back_reads_on(self):
        dan = self.world.client("dan")
        for command in ("join_chat", "leave_chat", "join_chat"):
            receipt = dan.submit("user-dan", command, {"chat_id": "chat-private"})
            self.wait_answer("dan", receipt["command_seq"])
        # His having left lies in the past of this stream and does not end it.
        stream = dan.stream("/v1/sessions/chat-private/updates?after=0")
        self.assertEqual(stream.until("ready")[-1][0], "ready")
        self.world.client("ann").submit("user-ann", "post_message", {"chat_id": "chat-private", "text": "welcome back"})
        while stream.updates(1)[0]["data"].get("text") != "welcome back":
            pass
        stream.close()

    def wait_answer(self, user, request):
        stream = self.world.client(user).stream(f"/v1/sessions/user-{user}/updates?after=0")
        while True:
            update = stream.updates(1)[0]
            if update["type"] in ("chat_joined", "chat_left") and update["data"].get("request") == request:
                stream.close()
                return

    def test_the_cookie_serves_only_the_gateways_own_pages(self):
        cookie = {"Cookie": "rowcall_token=" + token_of("ann")}
        c = Client(self.world.address)
        before = self.stored()
        for origin in ({}, {"Origin": "https://evil.example.org"}, {"Origin": "null"}):
            answer = c.post("/v1/sessions/user-ann/commands", {"type": "select_chat"}, headers={**cookie, **origin})
            self.assertEqual((answer.status, answer.json["type"]), (403, "/problems/cross-origin"))
            login = c.post("/v1/dev/login", {"name": "ann"}, headers={"Origin": "https://evil.example.org"})
            self.assertEqual(login.status, 403)
        self.assertEqual(self.stored(), before)
        own = {"Origin": "http://" + self.world.address}
        self.assertEqual(c.post("/v1/sessions/user-ann/commands", {"type": "select_chat"}, headers={**cookie, **own}).status, 202)

    # ------------------------------------------------------------ requests

    def test_paths_that_can_be_read_in_two_ways_are_refused(self):
        for path in ("/v1/../v1/me", "/v1/%2e%2e/v1/me", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd", "/chat/..%5c..%5cx",
                     "/v1/sessions/user-ann%2fcommands", "/v1//me", "//v1/me", "/./v1/me", "/v1/me%00", "/v1/%zz", "/v1/%2",
                     "http://127.0.0.1/v1/me", "*", "/a#b", "/v1/sessions/%2e%2e/updates", "/%252e%252e/%252e%252e/etc/passwd"):
            with self.subTest(path):
                answer = raw(self.world.address, f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token_of('ann')}\r\n\r\n".encode())
                self.assertIn(statuses(answer)[0], (400, 404), answer[:200])
                self.assertNotIn(b"root:", answer)

    def test_a_second_request_can_not_be_smuggled_in(self):
        inner = b"POST /v1/sessions/user-ann/commands HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token_of("ann").encode() + \
                b"\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"type\":\"smug\"}"
        length = str(len(inner) + 5).encode()
        post = b"POST /v1/session HTTP/1.1\r\nHost: x\r\n"
        attempts = {
            "both lengths": post + b"Content-Length: " + length + b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
            "both, the other way": post + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + inner,
            "two lengths": post + b"Content-Length: 0\r\nContent-Length: " + length + b"\r\n\r\n" + inner,
            "two equal lengths": post + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n" + inner,
            "a list of lengths": post + b"Content-Length: 0, " + length + b"\r\n\r\n" + inner,
            "a signed length": post + b"Content-Length: +0\r\n\r\n" + inner,
            "a negative length": post + b"Content-Length: -1\r\n\r\n" + inner,
            "chunked is not the last": post + b"Transfer-Encoding: chunked, identity\r\n\r\n" + inner,
            "an unknown coding": post + b"Transfer-Encoding: xchunked\r\n\r\n" + inner,
            "two codings": post + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + inner,
            "a space before the colon": post + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + inner,
            "a tab before the coding": post + b"Transfer-Encoding:\x0bchunked\r\n\r\n" + inner,
            "a folded field": post + b"X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n" + b"",
            "coding in 1.0": b"POST /v1/session HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
            "a bad chunk size": post + b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + inner,
            "line feeds alone": b"POST /v1/session HTTP/1.1\nHost: x\nContent-Length: 0\n\n" + inner,
            "no host": b"GET /healthz HTTP/1.1\r\n\r\n" + inner,
            "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + inner,
        }
        before = self.stored()
        for what, data in attempts.items():
            with self.subTest(what):
                found = statuses(raw(self.world.address, data))
                self.assertEqual(len(found), 1, found)
                self.assertIn(found[0], (400, 401, 501))
        self.assertEqual(self.stored(), before)
        # The same request is stored when it is one.
        self.assertEqual(statuses(raw(self.world.address, inner)), [202])

    def test_a_body_that_lies_about_its_length_stores_nothing(self):
        head = b"POST /v1/sessions/user-ann/commands HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token_of("ann").encode() + \
               b"\r\nContent-Type: application/json\r\n"
        body = b'{"type":"lying"}'
        before = self.stored()
        cut = raw(self.world.address, head + b"Content-Length: 500\r\n\r\n" + body)
        self.assertEqual(statuses(cut), [])
        more = raw(self.world.address, head + b"Content-Length: 5\r\n\r\n" + body)
        self.assertEqual(statuses(more)[0], 400)
        self.assertNotIn(202, statuses(more))
        chunk = raw(self.world.address, head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + body + b"\r\n0\r\n\r\n")
        self.assertNotIn(202, statuses(chunk))
        self.assertEqual(self.stored(), before)

    def test_garbage_closes_its_connection_and_nothing_else(self):
        for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", b"\x00" * 100,
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX\x00: y\r\n\r\n", b"A" * 20000):
            self.assertNotIn(200, statuses(raw(self.world.address, data)))
        self.assertEqual(Client(self.world.address).get("/healthz").status, 200)

    def test_a_field_can_not_be_put_into_an_answer(self):
        answer = raw(self.world.address, b"GET /v1/me HTTP/1.1\r\nHost: x\r\nOrigin: https://a\r\nCookie: rowcall_token=a%0d%0aX: y\r\n\r\n")
        self.assertEqual(statuses(answer), [401])
        self.assertNotIn(b"\r\nX:", answer)

    def test_bodies_that_are_no_commands_are_refused(self):
        c = self.world.client("ann")
        before = self.stored()
        bodies = ["", "null", "5", '"x"', "[]", "[1]", "{", '{"type":5}', '{"type":""}', '{"type":"x","data":[]}', '{"type":"x","data":null}',
                  '{"type":"x","other":1}', '{"type":"x y"}', '{"type":"x","data":{"a":"\\u0000"}}', '{"type":"x","data":{"a":1e400}}',
                  '{"type":"x","idempotency_key":""}', '{"type":"x","idempotency_key":"send:1"}', '{"type":"x","idempotency_key":5}',
                  "[" * 2000 + "]" * 2000, '{"type":"x","data":{"a":"' + "y" * 70000 + '"}}', "[" + ",".join(['{"type":"x"}'] * 101) + "]",
                  b"\xff\xfe", '{"type":"x"}{"type":"y"}']
        for body in bodies:
            answer = c.post("/v1/sessions/user-ann/commands", body, headers={"Content-Type": "application/json"})
            self.assertIn(answer.status, (400, 422), body[:80])
            self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
            self.assertEqual(answer.json["status"], answer.status)
        self.assertEqual(self.stored(), before)

    def test_a_kept_connection_does_not_keep_its_largest_body(self):
        process = f"/proc/{self.world.gateway.child.pid}/"
        with open(process + "maps") as maps:
            if "libasan" in maps.read():
                self.skipTest("the sanitizer keeps what is freed")

        def resident_bytes():
            with open(process + "statm") as statm:
                return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

        size = 1_000_000
        body = b"[" * size  # not even JSON
        clients = [self.world.client("ann") for _ in range(61)]

        def post(client):
            answer = client.post("/v1/sessions/user-ann/commands", body, headers={"Content-Type": "application/json"})
            self.assertEqual(answer.status, 400)

        post(clients[0])
        before = resident_bytes()
        for client in clients[1:]:
            post(client)
        self.assertLess(resident_bytes() - before, 60 * size / 3)
        for client in clients:
            client.close()

    def test_many_who_vanish_in_the_middle_do_no_harm(self):
        host, port = self.world.address.rsplit(":", 1)
        token = token_of("ann").encode()
        pieces = [b"GET /v1/sessions/user-ann/updates HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: Bearer " + token + b"\r\n\r\n",
                  b"POST /v1/sessions/user-ann/commands?wait=5s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer " + token +
                  b"\r\nContent-Length: 22\r\n\r\n" + b'{"type":"select_chat"}']

        def vanish(index):
            for i in range(30):
                with socket.create_connection((host, int(port))) as connection:
                    data = pieces[(index + i) % 2]
                    connection.sendall(data[: len(data) - (i % 3)])
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

        threads = [threading.Thread(target=vanish, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        c = Client(self.world.address)
        self.assertEqual(c.get("/healthz").status, 200)
        self.eventually(lambda: "\nrowcall_gateway_streams 0" in c.get("/metrics").body.decode())

    def eventually(self, condition, deadline_s=20):
        until = time.monotonic() + deadline_s
        while not condition():
            self.assertLess(time.monotonic(), until)


if __name__ == "__main__":
    unittest.main(verbosity=2)
