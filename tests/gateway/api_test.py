"""What the gateway offers, by HTTP as a client sees it."""

import contextlib
import gzip
import json
import os
import re
import signal
import socket
import threading
import time
import unittest

from world import Client, World, raw, token_of


class api(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(gateway_arguments=["--commands-per-s", "100000"])

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def chat(self, owner, chat, *members):
        """A room of these users, each of whom knows that he is in."""
        c = self.world.client(owner)
        c.submit(f"user-{owner}", "create_chat", {"name": "Room", "chat_id": chat})
        self.wait_joined(owner, chat)
        for member in members:
            self.world.client(member).submit(f"user-{member}", "join_chat", {"chat_id": chat})
            self.wait_joined(member, chat)
        return c

    def wait_joined(self, user, chat):
        stream = self.world.client(user).stream(f"/v1/sessions/user-{user}/updates?after=0")
        while True:
            name, _, data = stream.event()
            if name == "message" and data["type"] == "chat_joined" and data["data"]["chat_id"] == chat:
                stream.close()
                return

    # ------------------------------------------------------------ commands

    def test_a_command_is_stored_and_its_receipt_comes_with_wait(self):
        c = self.world.client("ann")
        answer = c.post("/v1/sessions/user-ann/commands?wait=10s", {"type": "join_chat", "data": {"chat_id": "chat-none"}})
        self.assertEqual(answer.status, 200)
        receipt = answer.json["receipts"][0]
        self.assertEqual((receipt["session"], receipt["outcome"]), ("user-ann", "stored"))
        self.assertEqual([u["type"] for u in receipt["updates"]], ["request_sent"])
        self.assertEqual(receipt["updates"][0]["command_seq"], receipt["command_seq"])

    def test_a_wait_needs_a_unit_and_a_refusal_names_the_longest(self):
        c = self.world.client("unit")
        for wait in ("5", "1h", "s", "", "-1s"):
            answer = c.post(f"/v1/sessions/user-unit/commands?wait={wait}", {"type": "select_chat", "data": {"chat_id": "chat-1"}})
            self.assertEqual((answer.status, answer.json["type"]), (400, "/problems/bad-request"), wait)
            self.assertIn("the longest is 30s", answer.json["detail"])
        for wait in ("0", "1ms", "1s"):
            answer = c.post(f"/v1/sessions/user-unit/commands?wait={wait}", {"type": "select_chat", "data": {"chat_id": "chat-1"}})
            self.assertIn(answer.status, (200, 202), wait)

    def test_the_same_key_is_stored_once(self):
        c = self.world.client("key")
        first = c.submit("user-key", "select_chat", {"chat_id": "chat-x"}, key="k1")
        again = c.submit("user-key", "select_chat", {"chat_id": "chat-x"}, key="k1")
        self.assertEqual((first["outcome"], again["outcome"]), ("stored", "duplicate"))
        self.assertEqual(first["command_seq"], again["command_seq"])
        self.assertEqual(again["updates"], first["updates"])

    def test_an_array_keeps_its_order_and_gets_a_receipt_each(self):
        c = self.world.client("many")
        body = [{"type": "select_chat", "data": {"chat_id": f"chat-{i}"}} for i in range(20)]
        answer = c.post("/v1/sessions/user-many/commands?wait=10s", body, headers={"Idempotency-Key": "batch"})
        self.assertEqual(answer.status, 200)
        receipts = answer.json["receipts"]
        self.assertEqual([r["command_seq"] for r in receipts], list(range(1, 21)))
        self.assertTrue(all(r["updates"][0]["type"] == "command_rejected" for r in receipts))
        again = c.post("/v1/sessions/user-many/commands", body, headers={"Idempotency-Key": "batch"})
        self.assertEqual((again.status, {r["outcome"] for r in again.json["receipts"]}), (202, {"duplicate"}))

    def test_nothing_is_stored_when_one_of_an_array_is_invalid(self):
        c = self.world.client("invalid")
        answer = c.post("/v1/sessions/user-invalid/commands", [{"type": "ok"}, {"type": "not a type"}])
        self.assertEqual((answer.status, answer.json["errors"][0]["index"]), (422, 1))
        self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
        self.assertEqual(self.world.sql("SELECT count(*) FROM rowcall.command_log WHERE session_id = 'user-invalid'"), "0")

    def test_without_an_engine_that_knows_the_kind_a_command_is_refused(self):
        answer = Client(self.world.address, token_of("svc", submit=["nokind-1"])).post("/v1/sessions/nokind-1/commands", {"type": "x"})
        self.assertEqual((answer.status, answer.json["type"]), (422, "/problems/unknown-kind"))

    def test_a_wait_that_runs_out_is_told_what_was_stored(self):
        self.world.sql("INSERT INTO rowcall.kinds (kind) VALUES ('unserved') ON CONFLICT DO NOTHING")
        c = Client(self.world.address, token_of("svc", submit=["unserved-1"]))
        for command_seq in (1, 2):  # the second time the session is followed already
            began = time.monotonic()
            answer = c.post("/v1/sessions/unserved-1/commands?wait=300ms", {"type": "x"})
            self.assertGreaterEqual(time.monotonic() - began, 0.3)
            self.assertEqual((answer.status, answer.json), (202, {"receipts": [
                {"session": "unserved-1", "command_seq": command_seq, "outcome": "stored"}]}))

    @contextlib.contextmanager
    def submits_held(self, session):
        """Submits to it wait for a lock meanwhile."""
        holder = self.world.hold(f"SELECT rowcall.lock_submit_bucket('{session}')")
        try:
            yield
        finally:
            holder.communicate("COMMIT;", timeout=20)

    def await_held_submit(self):
        self.eventually(lambda: self.world.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = "
                                               "(SELECT oid FROM pg_database WHERE datname = current_database())") == "1")

    def test_commands_of_many_requests_share_a_commit(self):
        _, address = self.world.start_gateway(["--submit-connections", "1"])
        observer, requests = Client(address), []

        def requests_read():
            requests.append(float(observer.get("/metrics").body.decode().split("\nrowcall_gateway_requests_total ")[1].split()[0]))
            return requests[-1] - requests[0] - (len(requests) - 1)

        self.assertEqual(requests_read(), 0)
        clients = {user: Client(address, token_of(user)) for user in ("group", *(f"group-{i}" for i in range(20)))}

        def post(user):
            clients[user].connection.request("POST", f"/v1/sessions/user-{user}/commands", body='{"type": "select_chat"}', headers={
                "Content-Type": "application/json", "Authorization": "Bearer " + clients[user].token})

        # The first one's transaction waits for a lock, and meanwhile the others gather.
        with self.submits_held("user-group"):
            post("group")
            self.await_held_submit()
            for user in list(clients)[1:]:
                post(user)
            self.eventually(lambda: requests_read() >= len(clients))
        for c in clients.values():
            self.assertEqual(c.connection.getresponse().status, 202)
        self.assertEqual(self.world.sql("SELECT count(DISTINCT xid) || ' of ' || count(*) FROM rowcall.command_log "
                                        "WHERE session_id LIKE 'user-group-%'"), "1 of 20")

    def test_the_sender_is_the_token_not_the_body(self):
        self.chat("mia", "chat-sender")
        token = token_of("mia", submit=["chat-sender"], follow=["user-mia"])
        c = Client(self.world.address, token)
        receipt = c.submit("chat-sender", "post_message", {"text": "hi", "sender": "bob", "request": 7})
        self.assertEqual(receipt["updates"][0]["data"]["sender"], "mia")
        self.assertEqual(json.loads(self.world.sql(
            f"SELECT data FROM rowcall.command_log WHERE session_id = 'chat-sender' AND seq = {receipt['command_seq']}")),
            {"text": "hi", "sender": "mia"})

    # ------------------------------------------------------------ pages

    def test_pages_go_forward_and_backward_and_say_whether_there_is_more(self):
        c = self.world.client("page")
        body = [{"type": "select_chat", "data": {"chat_id": f"chat-{i}"}} for i in range(25)]
        c.post("/v1/sessions/user-page/commands?wait=10s", body)
        first = c.get("/v1/sessions/user-page/updates?limit=10").json
        self.assertEqual(([u["seq"] for u in first["updates"]], first["next_after"], first["more"]), (list(range(1, 11)), 10, True))
        last = c.get("/v1/sessions/user-page/updates?after=20&limit=10").json
        self.assertEqual(([u["seq"] for u in last["updates"]], last["more"]), ([21, 22, 23, 24, 25], False))
        exact = c.get("/v1/sessions/user-page/updates?after=15&limit=10").json
        self.assertEqual((len(exact["updates"]), exact["more"]), (10, False))
        older = c.get("/v1/sessions/user-page/updates?before=end&limit=10").json
        self.assertEqual(([u["seq"] for u in older["updates"]], older["prev_before"], older["more"]), (list(range(16, 26)), 16, True))
        oldest = c.get("/v1/sessions/user-page/updates?before=6&limit=10").json
        self.assertEqual(([u["seq"] for u in oldest["updates"]], oldest["more"]), ([1, 2, 3, 4, 5], False))
        end = c.get("/v1/sessions/user-page/updates?after=25").json
        self.assertEqual((end["updates"], end["next_after"], end["more"]), ([], 25, False))
        head = c.get("/v1/sessions/user-page").json
        self.assertEqual(head, {"session": "user-page", "last_seq": 25, "last_command_seq": 25, "incarnation": first["incarnation"]})

    def test_who_pages_from_beyond_the_end_is_told_where_it_is(self):
        c = self.world.client("ahead")
        c.submit("user-ahead", "select_chat", {"chat_id": "chat-1"})
        for session, last_seq in (("user-ahead", 1), ("user-nobody", 0)):
            reader = Client(self.world.address, token_of("ahead", follow=["user-*"]))
            page = reader.get(f"/v1/sessions/{session}/updates?after={last_seq + 1}")
            stream = reader.stream(f"/v1/sessions/{session}/updates?after={last_seq + 1}")
            self.assertEqual((page.status, page.json["type"], page.json["last_seq"]), (400, "/problems/bad-request", last_seq))
            self.assertEqual(page.json, stream.problem(), "a page and a stream say the same")

    def test_an_update_has_the_shape_of_the_contract(self):
        c = self.world.client("shape")
        c.submit("user-shape", "select_chat", {"chat_id": "chat-x"})
        update = c.get("/v1/sessions/user-shape/updates").json["updates"][0]
        self.assertEqual(set(update), {"session", "seq", "command_seq", "type", "data", "at"})
        self.assertRegex(update["at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")

    def test_retention_is_told_as_gone_with_a_pointer_to_the_snapshot(self):
        c = self.world.client("gone")
        for i in range(3):
            c.post("/v1/sessions/user-gone/commands?wait=10s",
                   [{"type": "select_chat", "data": {"chat_id": f"chat-{i}"}} for i in range(100)])
        self.assertIsNotNone(c.get("/v1/sessions/user-gone/snapshot").json["state"])
        c.post("/v1/sessions/user-gone/commands?wait=10s", [{"type": "select_chat", "data": {"chat_id": "chat-1"}}] * 5)
        self.world.rowcall("cleanup", "--older-than", "0s")
        answer = c.get("/v1/sessions/user-gone/updates?after=0")
        self.assertEqual((answer.status, answer.json["snapshot"]), (410, "/v1/sessions/user-gone/snapshot"))
        snapshot = c.get(answer.json["snapshot"]).json
        self.assertEqual(snapshot["seq"], answer.json["snapshot_seq"])
        stream = c.stream("/v1/sessions/user-gone/updates?after=0")
        self.assertEqual((stream.status, stream.problem()["type"]), (410, "/problems/gone"))
        page = c.get(f"/v1/sessions/user-gone/updates?after={snapshot['seq']}&limit=1000").json
        self.assertEqual(page["updates"][0]["seq"], snapshot["seq"] + 1)
        older = c.get("/v1/sessions/user-gone/updates?before=end&limit=1000").json
        self.assertEqual((older["gone"], older["more"], older["updates"][-1]["seq"]), (True, False, 305))

    def test_retention_that_overtakes_an_open_stream_ends_it_with_gone(self):
        _, address = self.world.start_gateway(["--write-timeout", "5m"])
        c = Client(address, token_of("over", submit=["echo-over"], follow=["echo-over"]))
        for _ in range(6):
            c.post("/v1/sessions/echo-over/commands?wait=20s", [{"type": "say", "data": {"text": "x" * 3900}}] * 100)
        # The first page of 200 updates is more than the kernel takes on its way to a reader who reads nothing.
        slow = c.stream("/v1/sessions/echo-over/updates?after=0", receive_bytes=4096)
        self.world.rowcall("cleanup", "--older-than", "0s")
        self.assertEqual(c.get("/v1/sessions/echo-over/updates?after=200").status, 410)
        *seen, gone = slow.until("gone")
        self.assertEqual(gone, ("gone", None, {"session": "echo-over", "snapshot": "/v1/sessions/echo-over/snapshot"}))
        self.assertIsNone(slow.event())
        self.assertEqual([e[2]["seq"] for e in seen if e[0] == "message"], list(range(1, 201)))
        snapshot = c.get(gone[2]["snapshot"]).json
        c.submit("echo-over", "say", {"text": "after the snapshot"})  # which may be of the last update, as the turns were cut
        again = c.stream(f"/v1/sessions/echo-over/updates?after={snapshot['seq']}")
        self.assertEqual(again.updates(1)[0]["seq"], snapshot["seq"] + 1)
        again.close()

    # ------------------------------------------------------------ streams

    def test_a_stream_brings_history_then_ready_then_what_happens(self):
        c = self.world.client("live")
        c.submit("user-live", "select_chat", {"chat_id": "chat-1"})
        stream = c.stream("/v1/sessions/user-live/updates?after=0")
        seen = stream.until("ready")
        self.assertEqual([(e[0], e[1]) for e in seen], [("incarnation", None), ("message", "1"), ("ready", "1")])
        self.assertEqual(seen[2][2], {"positions": {"user-live": 1}})
        c.submit("user-live", "select_chat", {"chat_id": "chat-2"})
        self.assertEqual(stream.updates(1)[0]["seq"], 2)
        stream.close()

    def test_a_reconnect_with_last_event_id_goes_on_without_loss_also_at_another_gateway(self):
        c = self.world.client("again")
        c.post("/v1/sessions/user-again/commands?wait=10s", [{"type": "select_chat", "data": {"chat_id": "chat-1"}}] * 5)
        stream = c.stream("/v1/sessions/user-again/updates?after=0")
        self.assertEqual([u["seq"] for u in stream.updates(3)], [1, 2, 3])
        last = stream.last_id
        stream.close()
        c.post("/v1/sessions/user-again/commands?wait=10s", [{"type": "select_chat", "data": {"chat_id": "chat-1"}}] * 3)
        _, other = self.world.start_gateway()
        stream = Client(other, c.token).stream("/v1/sessions/user-again/updates?after=0", headers={"Last-Event-ID": last})
        self.assertEqual([u["seq"] for u in stream.updates(5)], [4, 5, 6, 7, 8])
        stream.close()

    def test_one_stream_follows_several_sessions_and_resumes_all_of_them(self):
        self.chat("sam", "chat-several")
        c = self.world.client("sam")
        path = "/v1/stream?session=user-sam:0&session=chat-several:0"
        stream = c.stream(path)
        seen = stream.until("ready")
        positions = seen[-1][2]["positions"]
        self.assertEqual(set(positions), {"user-sam", "chat-several"})
        c.submit("user-sam", "post_message", {"chat_id": "chat-several", "text": "one"})
        while not any(u["type"] == "new_message" for u in stream.updates(1)):
            pass
        last = stream.last_id
        stream.close()
        c.submit("user-sam", "post_message", {"chat_id": "chat-several", "text": "two"})
        stream = c.stream(path, headers={"Last-Event-ID": last})
        texts, seqs = [], {}
        while "two" not in texts:
            update = stream.updates(1)[0]
            self.assertEqual(update["seq"], seqs.get(update["session"], update["seq"] - 1) + 1)
            seqs[update["session"]] = update["seq"]
            if update["type"] == "new_message":
                texts.append(update["data"]["text"])
        self.assertEqual(texts, ["two"])
        stream.close()

    def test_a_stream_at_the_end_tells_only_what_is_new_also_after_a_reconnect(self):
        c = self.world.client("end")
        c.submit("user-end", "select_chat", {"chat_id": "chat-1"})
        path = "/v1/stream?session=user-end:end"
        stream = c.stream(path)
        stream.until("ready")
        last = stream.last_id
        stream.close()
        c.submit("user-end", "select_chat", {"chat_id": "chat-2"})
        stream = c.stream(path, headers={"Last-Event-ID": last})
        self.assertEqual(stream.updates(1)[0]["seq"], 2)
        stream.close()

    def test_a_stream_survives_a_long_history(self):
        c = self.world.client("long")
        for _ in range(12):
            c.post("/v1/sessions/user-long/commands?wait=20s", [{"type": "select_chat", "data": {"chat_id": "chat-1"}}] * 100)
        stream = c.stream("/v1/sessions/user-long/updates?after=0")
        self.assertEqual([u["seq"] for u in stream.updates(1200)], list(range(1, 1201)))
        self.assertEqual(stream.event()[0], "ready")
        stream.close()

    def test_a_heartbeat_is_a_comment_which_no_client_takes_for_an_event(self):
        _, address = self.world.start_gateway(["--heartbeat", "1s"])
        stream = Client(address, token_of("beat")).stream("/v1/sessions/user-beat/updates")
        stream.until("ready")
        for _ in range(2):
            self.assertEqual([stream.response.readline() for _ in range(2)], [b":\n", b"\n"])
        stream.close()

    def test_a_heartbeat_can_be_an_event(self):
        _, address = self.world.start_gateway(["--heartbeat", "1s"])
        stream = Client(address, token_of("beat")).stream("/v1/stream?session=user-beat&heartbeat=event")
        self.assertEqual([e[0] for e in stream.until("heartbeat")], ["incarnation", "ready", "heartbeat"])
        stream.close()

    def test_a_stream_opens_though_the_connections_to_the_database_were_lost_meanwhile(self):
        world = World(engine=False)
        try:
            c = world.client("lost")
            for _ in range(2):
                world.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '%gateway%'")
                for _ in range(6):
                    stream = c.stream("/v1/sessions/user-lost/updates")
                    stream.until("ready")
                    stream.close()
        finally:
            world.close()

    def test_who_leaves_a_chat_is_told_and_hears_nothing_more(self):
        self.chat("lea", "chat-leave", "max")
        max_stream = self.world.client("max").stream("/v1/sessions/chat-leave/updates?after=0")
        max_stream.until("ready")
        several = self.world.client("max").stream("/v1/stream?session=user-max:end&session=chat-leave:end")
        several.until("ready")
        self.world.client("max").submit("user-max", "leave_chat", {"chat_id": "chat-leave"})
        seen = max_stream.until("left")
        self.assertEqual(seen[-1][2], {"session": "chat-leave"})
        self.assertIsNone(max_stream.event())
        # The other sessions of a stream go on.
        several.until("left")
        self.world.client("lea").submit("user-lea", "post_message", {"chat_id": "chat-leave", "text": "secret"})
        self.world.client("max").submit("user-max", "select_chat", {"chat_id": "chat-none"})
        while True:
            update = several.updates(1)[0]
            self.assertNotEqual(update["session"], "chat-leave")
            if update["type"] == "command_rejected":
                break
        several.close()

    def test_a_slow_reader_is_dropped_and_its_seq_is_safe(self):
        _, address = self.world.start_gateway(["--write-timeout", "1s"])
        c = self.world.client("slow")
        text = "x" * 3900
        self.chat("slow", "chat-slow")
        for _ in range(3):
            c.post("/v1/sessions/user-slow/commands?wait=20s",
                   [{"type": "post_message", "data": {"chat_id": "chat-slow", "text": text}}] * 100)
        whole = c.stream("/v1/sessions/chat-slow/updates?after=0")
        self.assertEqual(len([u for u in whole.updates(302) if u["type"] == "new_message"]), 300)
        whole.close()
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = address.rsplit(":", 1)
        slow.connect((host, int(port)))
        slow.sendall(f"GET /v1/sessions/chat-slow/updates?after=0 HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
                     f"Authorization: Bearer {token_of('slow')}\r\n\r\n".encode())
        dropped = 0.0
        deadline = time.monotonic() + 20
        observer = Client(address)
        while time.monotonic() < deadline and dropped < 1:
            metrics = observer.get("/metrics").body.decode()
            dropped = float(metrics.split("\nrowcall_gateway_streams_slow_total ")[1].split()[0])
        self.assertEqual(dropped, 1.0)
        received = b""
        try:
            while piece := slow.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
        slow.close()
        whole_events = re.findall(rb"id: (\d+)\n", received)[:-1]
        again = c.stream("/v1/sessions/chat-slow/updates?after=0", headers={"Last-Event-ID": whole_events[-1].decode()})
        missed = range(int(whole_events[-1]) + 1, 303)
        self.assertEqual([u["seq"] for u in again.updates(len(missed))], list(missed))
        again.close()

    # ------------------------------------------------------------ signals

    def test_a_signal_reaches_open_streams_on_every_gateway_and_is_not_stored(self):
        self.chat("tim", "chat-signal", "uma")
        _, other = self.world.start_gateway()
        here = self.world.client("uma").stream("/v1/sessions/chat-signal/updates?after=end")
        there = Client(other, token_of("uma")).stream("/v1/sessions/chat-signal/updates?after=end")
        here.until("ready"), there.until("ready")
        before = self.world.sql("SELECT count(*) FROM rowcall.command_log")
        answer = self.world.client("tim").post("/v1/sessions/chat-signal/signals", {"type": "typing", "data": {"on": True}})
        self.assertEqual(answer.status, 202)
        wanted = {"session": "chat-signal", "type": "typing", "from": "tim", "data": {"on": True}}
        self.assertEqual(here.until("signal")[-1][2], wanted)
        self.assertEqual(there.until("signal")[-1][2], wanted)
        self.assertEqual(self.world.sql("SELECT count(*) FROM rowcall.command_log"), before)
        # Who closes his last stream is told about, also elsewhere.
        here.close()
        self.assertEqual(there.until("signal")[-1][2],
                         {"session": "chat-signal", "type": "left_stream", "from": "uma", "data": {}})
        there.close()

    def test_signals_are_limited(self):
        c = self.world.client("loud")
        statuses = [c.post("/v1/sessions/user-loud/signals", {"type": "typing"}).status for _ in range(40)]
        self.assertIn(429, statuses)
        big = c.post("/v1/sessions/user-loud/signals", {"type": "typing", "data": {"x": "y" * 2000}})
        self.assertEqual(big.status, 413)

    # ------------------------------------------------------------ HTTP

    def test_answers_are_compressed_where_it_pays(self):
        c = self.world.client("gzip")
        c.post("/v1/sessions/user-gzip/commands?wait=10s", [{"type": "select_chat", "data": {"chat_id": "chat-1"}}] * 50)
        plain = c.get("/v1/sessions/user-gzip/updates")
        packed = c.get("/v1/sessions/user-gzip/updates", headers={"Accept-Encoding": "gzip"})
        self.assertEqual(packed.headers["Content-Encoding"], "gzip")
        self.assertEqual(gzip.decompress(packed.body), plain.body)
        self.assertLess(len(packed.body) * 4, len(plain.body))
        small = c.get("/v1/me", headers={"Accept-Encoding": "gzip"})
        self.assertIsNone(small.headers["Content-Encoding"])
        refused = c.get("/v1/sessions/user-gzip/updates", headers={"Accept-Encoding": "gzip;q=0"})
        self.assertIsNone(refused.headers["Content-Encoding"])

    def test_one_connection_carries_many_requests_and_head_has_no_body(self):
        c = self.world.client("kept")
        c.get("/healthz")
        first = c.connection.sock
        for _ in range(20):
            self.assertEqual(c.get("/v1/me").status, 200)
        self.assertIs(c.connection.sock, first)
        head = c.request("HEAD", "/v1/me")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertGreater(int(head.headers["Content-Length"]), 0)

    def test_requests_may_be_sent_ahead(self):
        one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = raw(self.world.address, one * 5)
        self.assertEqual(answer.count(b"HTTP/1.1 200 OK"), 5)

    def test_methods_and_paths_that_do_not_exist_are_told_apart(self):
        c = self.world.client("ann")
        self.assertEqual(c.get("/v1/nothing").status, 404)
        answer = c.request("PUT", "/v1/sessions/user-ann/commands", body={})
        self.assertEqual((answer.status, answer.headers["Allow"]), (405, "OPTIONS, POST"))
        self.assertEqual(c.request("OPTIONS", "/v1/me").status, 204)
        self.assertEqual(c.get("/v1/sessions/nodash/updates").status, 404)
        self.assertEqual(c.get("/v1/stream?session=user-ann", headers={"Accept": "application/json"}).status, 406)
        self.assertEqual(c.post("/v1/sessions/user-ann/commands", "{}", headers={"Content-Type": "text/plain"}).status, 415)

    def test_only_listed_origins_may_read_from_a_browser(self):
        _, address = self.world.start_gateway(["--cors-origin", "https://app.example.org"])
        c = Client(address, token_of("ann"))
        listed = c.get("/v1/me", headers={"Origin": "https://app.example.org"})
        self.assertEqual(listed.headers["Access-Control-Allow-Origin"], "https://app.example.org")
        self.assertIsNone(listed.headers["Access-Control-Allow-Credentials"])
        other = c.get("/v1/me", headers={"Origin": "https://evil.example.org"})
        self.assertIsNone(other.headers["Access-Control-Allow-Origin"])
        asked = c.request("OPTIONS", "/v1/sessions/user-ann/commands", headers={
            "Origin": "https://app.example.org", "Access-Control-Request-Method": "POST"})
        self.assertEqual(asked.status, 204)
        self.assertIn("Idempotency-Key", asked.headers["Access-Control-Allow-Headers"])

    def test_each_limit_has_its_status(self):
        _, address = self.world.start_gateway([
            "--header-bytes-max", "2000", "--body-bytes-max", "3000", "--streams-max", "3", "--streams-per-user-max", "2",
            "--commands-per-s", "5", "--reads-per-s", "5", "--connections-max", "8"])
        c = Client(address, token_of("lim"))
        self.assertEqual(Client(address).get("/" + "x" * 1990, headers={"X": "y"}).status, 431)
        self.assertEqual(Client(address, token_of("lim")).post("/v1/sessions/user-lim/commands", {"type": "x", "data": {"a": "b" * 3100}}).status, 413)
        self.assertEqual(Client(self.world.address).get("/" + "x" * 13_000).status, 414)
        statuses = {c.post("/v1/sessions/user-lim/commands", {"type": "x"}).status for _ in range(30)}
        self.assertEqual(statuses, {202, 429})
        reader = Client(address, token_of("rea"))
        self.assertEqual({reader.get("/v1/sessions/user-rea/updates").status for _ in range(30)}, {200, 429})
        reader.close()
        # A stream counts when it is open.
        streams = []
        for user in ("lim", "lim"):
            stream = Client(address, token_of(user)).stream(f"/v1/sessions/user-{user}/updates")
            stream.until("ready")
            streams.append(stream)
        third = Client(address, token_of("lim")).stream("/v1/sessions/user-lim/updates")
        self.assertEqual((third.status, third.problem()["type"]), (429, "/problems/too-many-streams"))
        other = Client(address, token_of("oth")).stream("/v1/sessions/user-oth/updates")
        other.until("ready")
        full = Client(address, token_of("ful")).stream("/v1/sessions/user-ful/updates")
        self.assertEqual((full.status, full.problem()["type"]), (503, "/problems/streams-full"))
        self.assertIsNotNone(full.response.headers["Retry-After"])
        c.close()
        host, port = address.rsplit(":", 1)
        held = [socket.create_connection((host, int(port))) for _ in range(8)]
        answer = raw(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertIn(b" 503 ", answer.split(b"\r\n")[0])
        for connection in held:
            connection.close()
        for stream in (*streams, other):
            stream.close()

    def test_a_header_that_trickles_in_is_cut_off(self):
        _, address = self.world.start_gateway(["--header-timeout", "500ms", "--body-timeout", "500ms"])
        self.assertIn(b" 408 ", raw(address, b"GET /healthz HTTP/1.1\r\nHos", half_close=False).split(b"\r\n")[0])
        lying = b"POST /v1/dev/login HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{}"
        self.assertIn(b" 408 ", raw(address, lying, half_close=False).split(b"\r\n")[0])

    def test_only_a_go_ahead_can_be_expected(self):
        post = b"POST /v1/dev/login HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\nExpect: %s\r\n\r\n{\"name\":\"went\"}"
        self.assertIn(b" 417 ", raw(self.world.address, post % b"more").split(b"\r\n")[0])
        self.assertIn(b" 100 ", raw(self.world.address, post % b"100-Continue").split(b"\r\n")[0])

    # ------------------------------------------------------------ the rest

    def test_the_development_login_gives_a_token_and_a_cookie(self):
        c = Client(self.world.address)
        answer = c.post("/v1/dev/login", {"name": "dev"})
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.json["user"], "dev")
        cookie = answer.headers["Set-Cookie"]
        for part in ("HttpOnly", "SameSite=Strict", "Path=/"):
            self.assertIn(part, cookie)
        pair = cookie.split(";")[0]
        self.assertEqual(c.get("/v1/me", headers={"Cookie": pair}).json["user"], "dev")
        stream = Client(self.world.address).stream("/v1/sessions/user-dev/updates", headers={"Cookie": pair})
        stream.until("ready")
        stream.close()
        self.assertEqual(c.post("/v1/dev/login", {"name": "no spaces"}).status, 422)

    def test_the_list_of_chats_says_where_one_is(self):
        self.chat("lia", "chat-list", "bea")
        mine = {c["chat_id"]: c for c in self.world.client("lia").get("/v1/chats?limit=200").json["chats"]}
        self.assertEqual((mine["chat-list"]["members"], mine["chat-list"]["joined"]), (2, True))
        other = {c["chat_id"]: c for c in self.world.client("zoe").get("/v1/chats?limit=200").json["chats"]}
        self.assertFalse(other["chat-list"]["joined"])

    def test_health_readiness_and_the_operators_status(self):
        c = Client(self.world.address)
        self.assertEqual(c.get("/healthz").status, 200)
        self.assertEqual(c.get("/readyz").json, {"ready": True, "database": True, "nats": True, "draining": False})
        self.assertEqual(c.get("/v1/operator/status").status, 401)
        self.assertEqual(self.world.client("ann").get("/v1/operator/status").status, 403)
        operator = Client(self.world.address, token_of("ops", operator=True))
        self.assertEqual(len(operator.get("/v1/operator/status").json["nodes"]), 1)

    def test_without_its_database_it_is_alive_and_not_ready_and_comes_back(self):
        world = World(engine=False)
        try:
            c = world.client("ann")
            stream = c.stream("/v1/sessions/user-ann/updates")
            stream.until("ready")
            world.sql(f'ALTER DATABASE "{world.name}" ALLOW_CONNECTIONS false', world.admin_url)
            world.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{world.name}'", world.admin_url)
            self.eventually(lambda: c.get("/readyz").status == 503)
            self.assertEqual(c.get("/readyz").json, {"ready": False, "database": False, "nats": True, "draining": False})
            self.assertEqual(c.get("/healthz").status, 200)
            self.eventually(lambda: "\nrowcall_gateway_ready 0" in c.get("/metrics").body.decode())
            answer = c.get("/v1/sessions/user-ann/updates")
            self.assertEqual((answer.status, answer.json["type"], answer.headers["Retry-After"]), (503, "/problems/unavailable", "1"))
            world.sql(f'ALTER DATABASE "{world.name}" ALLOW_CONNECTIONS true', world.admin_url)
            self.eventually(lambda: c.get("/readyz").status == 200)
            world.sql("INSERT INTO rowcall.kinds (kind) VALUES ('user') ON CONFLICT DO NOTHING")
            world.start_engine()
            c.submit("user-ann", "select_chat", {"chat_id": "chat-x"})
            self.assertEqual(stream.updates(1)[0]["seq"], 1)  # the stream that was open all the time
            stream.close()
        finally:
            world.close()

    def eventually(self, condition, deadline_s=20):
        until = time.monotonic() + deadline_s
        while not condition():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)

    def test_the_metrics_are_those_that_the_manual_lists(self):
        answer = Client(self.world.address).get("/metrics")
        self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        exposed = set(re.findall(r"^# TYPE (\w+) ", answer.body.decode(), re.MULTILINE))
        self.assertIn("rowcall_gateway_requests_total", exposed)
        with open(os.path.join(os.environ["ROWCALL_SOURCE_DIR"], "docs", "gateway.md"), encoding="utf-8") as manual:
            self.assertEqual(set(re.findall(r"`((?:rowcall_gateway|process)_\w+)`", manual.read())), exposed)

    def test_a_gateway_that_stops_is_not_ready(self):
        gateway, address = self.world.start_gateway()
        stream = Client(address, token_of("last")).stream("/v1/sessions/user-last/updates")
        stream.until("ready")
        host, port = address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=20) as asking:
            # A request that was begun before the stop: its header is read, its body is not there yet.
            asking.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                answer += asking.recv(4096)
            self.assertIn(b" 100 ", answer.split(b"\r\n")[0])
            gateway.child.send_signal(signal.SIGTERM)
            stream.until("drain")
            asking.sendall(b"x")
            answer = b""
            while piece := asking.recv(4096):
                answer += piece
        head, body = answer.split(b"\r\n\r\n")
        self.assertIn(b" 503 ", head.split(b"\r\n")[0])
        self.assertEqual(json.loads(body), {"ready": False, "database": True, "nats": True, "draining": True})
        self.assertEqual(gateway.stop(), 0)

    def test_a_stop_tells_the_streams_and_finishes_what_is_open(self):
        gateway, address = self.world.start_gateway()
        stream = Client(address, token_of("stop")).stream("/v1/sessions/user-stop/updates")
        stream.until("ready")
        # A kind that no engine serves at the moment would wait for ever: its wait ends with the gateway.
        self.world.sql("INSERT INTO rowcall.kinds (kind) VALUES ('later') ON CONFLICT DO NOTHING")
        waiting = Client(address, token_of("stop", submit=["later-1"]))
        answers = []
        thread = threading.Thread(target=lambda: answers.append(waiting.post("/v1/sessions/later-1/commands?wait=30s", {"type": "x"})))
        thread.start()
        deadline = time.monotonic() + 20
        while self.world.sql("SELECT count(*) FROM rowcall.command_log WHERE session_id = 'later-1'") == "0":
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(gateway.stop(), 0)
        thread.join(20)
        self.assertEqual(answers[0].status, 202)
        self.assertEqual(answers[0].json["receipts"][0]["command_seq"], 1)
        self.assertEqual(stream.event()[0], "drain")
        self.assertIsNone(stream.event())

    def test_a_wait_that_would_begin_during_a_stop_does_not(self):
        gateway, address = self.world.start_gateway()
        stream = Client(address, token_of("halt")).stream("/v1/sessions/user-halt/updates")
        stream.until("ready")
        self.world.sql("INSERT INTO rowcall.kinds (kind) VALUES ('later') ON CONFLICT DO NOTHING")
        waiting = Client(address, token_of("halt", submit=["later-2"]))
        with self.submits_held("later-2"):
            waiting.connection.request("POST", "/v1/sessions/later-2/commands?wait=30s", body='{"type": "x"}', headers={
                "Content-Type": "application/json", "Authorization": "Bearer " + waiting.token})
            self.await_held_submit()
            gateway.child.send_signal(signal.SIGTERM)
            stream.until("drain")
        self.assertEqual(waiting.connection.getresponse().status, 202)
        self.assertEqual(gateway.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
