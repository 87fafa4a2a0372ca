"""What operators get: overview, ranks, a session's log and state, retries, dead letters; and who does not get it."""

import json
import time
import unittest

from world import DEADLINE_S, Client, World, base64url, token_of

READS = ["status", "overview", "sessions", "sessions/user-ann", "sessions/user-ann/log", "sessions/user-ann/state", "retries",
         "dead-letters", "dead-letter?session=user-ann&command_seq=1"]
ACTS = ["dead-letters/redrive", "dead-letters/drop"]
ONE = {"letters": [{"session": "user-ann", "command_seq": 1}]}


class operator(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(gateway_arguments=["--commands-per-s", "100000", "--reads-per-s", "100000"])
        cls.ops = Client(cls.world.address, token_of("ops", operator=True))
        cls.world.client("ann").submit("user-ann", "select_chat", {"chat_id": "chat-x"})

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def get(self, path, status=200):
        answer = self.ops.get("/v1/operator/" + path)
        self.assertEqual(answer.status, status, answer.body)
        return answer.json

    def act(self, what, body, status=200):
        answer = self.ops.post("/v1/operator/dead-letters/" + what, body)
        self.assertEqual(answer.status, status, answer.body)
        return answer.json

    def until(self, read, holds):
        deadline = time.monotonic() + DEADLINE_S
        while True:
            seen = read()
            if holds(seen):
                return seen
            self.assertLess(time.monotonic(), deadline, seen)
            time.sleep(0.05)

    def park(self, session, count, type="say", error="broken", ago_s=0):
        """Dead letters as a turn writes them."""
        self.world.sql("INSERT INTO rowcall.dead_letters (session_id, command_seq, attempts, type, error, data, failed_at) SELECT "
                       f"'{session}', n, 3, '{type}', '{error}', jsonb_build_object('n', n), now() - {ago_s} * interval '1 s' - n * interval '1 ms' "
                       f"FROM generate_series(1, {count}) n")

    # ------------------------------------------------------------ who gets in

    def test_nobody_else_gets_in(self):
        parts = token_of("ann").split(".")
        forged = parts[0] + "." + base64url(json.dumps({"sub": "ann", "exp": int(time.time()) + 60, "operator": True}).encode()) + "." + parts[2]
        self.park("user-in", 1)
        one = {"letters": [{"session": "user-in", "command_seq": 1}]}
        tokens = [(None, 401), ("x", 401), (forged, 401), (token_of("ops", operator=True, exp=int(time.time()) - 5), 401), (token_of("ann"), 403),
                  (token_of("ann", operator=False), 403), (token_of("ann", submit=["user-*"], follow=["user-*"]), 403)]
        for token, status in tokens:
            client = Client(self.world.address, token)
            for path in READS:
                answer = client.get("/v1/operator/" + path)
                self.assertEqual((answer.status, answer.json["status"]), (status, status), (path, token))
                self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
            for path in ACTS:
                self.assertEqual(client.post("/v1/operator/" + path, one).status, status, path)
        # As a string it is no claim; a cookie from another page is no consent.
        self.assertIn(Client(self.world.address, token_of("ann", operator="true")).get("/v1/operator/overview").status, (401, 403))
        cookie = {"Cookie": "rowcall_token=" + token_of("ops", operator=True), "Origin": "http://elsewhere.example"}
        for path in ACTS:
            self.assertEqual(Client(self.world.address).post("/v1/operator/" + path, one, headers=cookie).status, 403)
        for path in ("/v1/operator/%2e%2e/operator/overview", "/v1/operator//overview", "/v1/me/../operator/overview", "/v1/operator/overview/"):
            self.assertIn(self.world.client("ann").get(path).status, (400, 403, 404), path)
        self.assertEqual(self.world.sql("SELECT count(*) FROM rowcall.dead_letters WHERE session_id = 'user-in' AND resolution IS NULL"), "1")

    # ------------------------------------------------------------ overview

    def test_the_overview_samples_what_the_engines_do(self):
        first = self.until(lambda: self.get("overview"), lambda o: o["nodes"])
        node = first["nodes"][0]
        self.assertEqual((node["alive"], sorted(node["kinds"])), (True, ["chat", "echo", "user"]))
        body = [{"type": "select_chat", "data": {"chat_id": f"chat-{i}"}} for i in range(100)]
        self.world.client("busy").post("/v1/sessions/user-busy/commands?wait=10s", body)
        busy = lambda o: [s for s in o["samples"] if s["commands_per_s"] > 0 and s["wait"] and s["turn"]]
        seen = self.until(lambda: self.get("overview"), busy)
        sample = busy(seen)[-1]
        self.assertGreaterEqual(sample["updates_per_s"], sample["commands_per_s"] * 0.99)
        self.assertGreaterEqual(sample["wait"]["p99_us"], sample["wait"]["p50_us"])
        self.assertTrue(1 <= sample["turn"]["p50_us"] < 30e6, sample)
        self.assertTrue(seen["nodes"][0]["shards"], "it served a session, so it owns a shard")
        numbers = [s["number"] for s in seen["samples"]]
        self.assertEqual(numbers, list(range(numbers[0], numbers[-1] + 1)))
        later = self.until(lambda: self.get(f"overview?after={numbers[-1]}"), lambda o: o["samples"])
        self.assertEqual(later["samples"][0]["number"], numbers[-1] + 1)

    def test_wakes_that_the_sweep_had_to_find_are_counted(self):
        before = self.until(lambda: self.get("overview"), lambda o: o["nodes"])["nodes"][0]["lost_wakes"]
        self.world.sql("SELECT rowcall.submit('echo-unheard', 'echo', '{}')")  # nobody publishes a wake
        self.until(lambda: self.get("overview"), lambda o: o["nodes"][0]["lost_wakes"] > before and any(s["lost_wakes"] for s in o["samples"]))

    # ------------------------------------------------------------ sessions

    def test_the_hottest_sessions_come_first(self):
        def make_heat():
            for user, count in (("hot", 60), ("warm", 20)):
                self.world.client(user).post(f"/v1/sessions/user-{user}/commands?wait=10s", [{"type": "select_chat", "data": {"chat_id": "chat-1"}}] * count)
            self.get("overview")
            return [s["session"] for s in self.get("sessions?order=hottest&limit=2")["sessions"]]
        self.until(make_heat, lambda seen: seen == ["user-hot", "user-warm"])

    def test_the_stuck_sessions_are_those_whose_next_command_waits_longest(self):
        # Of a kind that was served once, and by no engine now.
        self.world.sql("INSERT INTO rowcall.kinds (kind) VALUES ('idle') ON CONFLICT DO NOTHING;"
                       "SELECT rowcall.submit('idle-a', 'x', '{}'); SELECT rowcall.submit('idle-a', 'x', '{}'); SELECT rowcall.submit('idle-b', 'x', '{}');"
                       "INSERT INTO rowcall.retries (session_id, command_seq, next_at, attempts, last_error) VALUES ('idle-b', 1, now() + interval '1 h', 4, 'no')")
        stuck = {s["session"]: s for s in self.get("sessions?order=stuck")["sessions"]}
        self.assertEqual((stuck["idle-a"]["pending_commands"], stuck["idle-a"]["attempts"]), (2, 0))
        self.assertEqual((stuck["idle-b"]["attempts"], stuck["idle-b"]["error"]), (4, "no"))
        self.assertGreaterEqual(stuck["idle-a"]["oldest_pending_ms"], stuck["idle-b"]["oldest_pending_ms"])
        self.assertEqual(len(self.get("sessions?order=stuck&limit=1")["sessions"]), 1)
        held = self.get("sessions/idle-b")
        self.assertEqual((held["pending_commands"], held["held"]["attempts"], held["held"]["command_seq"]), (1, 4, 1))
        retries = self.get("retries?session=idle")["retries"]
        self.assertEqual([(r["session"], r["type"], r["error"]) for r in retries], [("idle-b", "x", "no")])
        self.assertTrue(3_500_000 < retries[0]["next_in_ms"] <= 3_600_000, retries)
        self.assertEqual(self.get("retries?session=idle&after=idle-b")["retries"], [])
        log = self.get("sessions/idle-a/log")
        self.assertEqual(([c["command_seq"] for c in log["commands"]], log["updates"]), ([1, 2], []))

    def test_a_log_page_has_updates_beside_the_commands_that_caused_them(self):
        c = self.world.client("log")
        for i in range(30):
            c.submit("user-log", "join_chat", {"chat_id": f"chat-none-{i}"}, key=f"k{i}", wait=None)
        c.submit("user-log", "nonsense")
        # The chats, which are not there, send their refusals back: each join has a second command.
        head = self.until(lambda: self.get("sessions/user-log"), lambda h: h["pending_commands"] == 0 and h["last_command_seq"] >= 61)
        last = head["last_seq"]
        self.assertIn(head["shard"], range(64))
        page = self.get("sessions/user-log/log?after=0&limit=10")
        self.assertEqual([u["seq"] for u in page["updates"]], list(range(1, 11)))
        self.assertEqual((page["more_before"], page["more_after"]), (False, True))
        commands = {k["command_seq"]: k for k in page["commands"]}
        self.assertEqual(set(commands), {u["command_seq"] for u in page["updates"]})
        self.assertEqual((commands[1]["type"], commands[1]["data"], commands[1]["idempotency_key"]), ("join_chat", {"chat_id": "chat-none-0"}, "k0"))
        self.assertLessEqual(commands[1]["at"], page["updates"][0]["at"], "stored before its turn")
        end = self.get("sessions/user-log/log?limit=10")
        self.assertEqual(([u["seq"] for u in end["updates"]], end["more_before"], end["more_after"]), (list(range(last - 9, last + 1)), True, False))
        older = self.get(f"sessions/user-log/log?before={last - 9}&limit=10")
        self.assertEqual(([u["seq"] for u in older["updates"]], older["more_after"]), (list(range(last - 19, last - 9)), True))
        self.get("sessions/user-nobody", 404)

    def test_large_data_is_left_out_of_pages_and_shown_alone(self):
        large = "0123456789" * 3_000  # compressed, it is small
        self.world.sql("SELECT rowcall.submit('echo-large', 'echo', jsonb_build_object('text', $x$" + large + "$x$))")
        page = self.until(lambda: self.get("sessions/echo-large/log"), lambda p: p["updates"])
        self.assertEqual((page["updates"][0]["data"], page["commands"][0]["data"]), (None, None))
        alone = self.get("sessions/echo-large/log?limit=1")
        self.assertEqual(alone["commands"][0]["data"]["text"], large)

    def test_the_state_at_every_seq_is_the_fold_up_to_it(self):
        c = self.world.client("fold")
        c.submit("user-fold", "create_chat", {"name": "First", "chat_id": "chat-fold"})
        read = lambda: self.get("sessions/chat-fold")
        self.until(read, lambda h: h["last_seq"] >= 2)
        for name in ("Second", "Third"):
            c.submit("user-fold", "rename_chat", {"chat_id": "chat-fold", "name": name})
        self.until(read, lambda h: h["last_seq"] >= 4)
        states = [self.get(f"sessions/chat-fold/state?seq={i}")["state"] for i in range(5)]
        self.assertEqual([s.get("name") for s in states][1:], ["First", "First", "Second", "Third"])
        self.assertEqual(states[1].get("members", []), [] if not states[1].get("members") else states[1]["members"])
        self.assertIn("fold", json.dumps(states[2]))
        now = self.get("sessions/chat-fold/state")
        self.assertEqual((now["seq"], now["state"], now["folded"], now["from_snapshot"]), (4, states[4], 4, 0))
        self.get("sessions/chat-fold/state?seq=5", 404)
        self.world.sql("INSERT INTO rowcall.kinds (kind) VALUES ('alien') ON CONFLICT DO NOTHING; SELECT rowcall.submit('alien-1', 'x', '{}')")
        self.assertEqual(self.get("sessions/alien-1/state", 422)["type"], "/problems/no-module")

    def test_states_before_what_retention_left_are_told_as_gone(self):
        c = self.world.client("old")
        for i in range(3):
            c.post("/v1/sessions/user-old/commands?wait=10s", [{"type": "select_chat", "data": {"chat_id": f"chat-{i}"}} for i in range(100)])
        snapshot = self.get("sessions/user-old")["last_snapshot_seq"]
        self.assertGreater(snapshot, 0)
        c.post("/v1/sessions/user-old/commands?wait=10s", [{"type": "select_chat", "data": {"chat_id": "chat-1"}}] * 5)
        before = self.get(f"sessions/user-old/state?seq={snapshot - 1}")
        self.assertEqual((before["from_snapshot"], before["folded"]), (0, snapshot - 1))
        after = self.get(f"sessions/user-old/state?seq={snapshot + 3}")
        self.assertEqual((after["from_snapshot"], after["folded"]), (snapshot, 3))
        self.world.rowcall("cleanup", "--older-than", "0s")
        problem = self.get(f"sessions/user-old/state?seq={snapshot - 1}", 410)
        self.assertEqual((problem["type"], problem["first_seq"]), ("/problems/gone", snapshot))
        self.assertEqual(self.get(f"sessions/user-old/state?seq={snapshot + 3}")["state"], after["state"])
        page = self.get("sessions/user-old/log?after=0&limit=5")
        self.assertEqual(page["updates"][0]["seq"], self.get("sessions/user-old")["first_seq"])

    # ------------------------------------------------------------ dead letters

    def test_dead_letters_are_listed_by_page_and_filter(self):
        self.park("echo-list", 25)
        self.park("echo-other", 5, type="shout", error="of another kind")
        listed, query = [], "dead-letters?session=echo-list&limit=10"
        page = self.get(query)
        while True:
            listed += [letter["command_seq"] for letter in page["letters"]]
            if not page["next"]:
                break
            page = self.get(f"{query}&below={page['next']}")
        self.assertEqual(listed, list(range(1, 26)), "newest first, each once")
        self.assertEqual({x["session"] for x in self.get("dead-letters?type=shout")["letters"]}, {"echo-other"})
        self.assertEqual(len(self.get("dead-letters?session=echo-o&error=another")["letters"]), 5)
        self.assertEqual(self.get("dead-letters?session=echo-o&error=absent")["letters"], [])
        one = self.get("dead-letter?session=echo-list&command_seq=7")
        self.assertEqual((one["data"], one["resolution"], one["attempts"]), ({"n": 7}, "open", 3))
        self.get("dead-letter?session=echo-list&command_seq=700", 404)

    def test_one_is_redriven_and_one_is_dropped(self):
        self.park("echo-act", 3)
        letter = lambda n: {"letters": [{"session": "echo-act", "command_seq": n}]}
        done = self.act("redrive", letter(1))
        self.assertEqual((done["done"][0]["redriven_seq"], done["failed"], done["next"]), (1, [], None))
        self.until(lambda: self.get("sessions/echo-act"), lambda h: h["processed_command_seq"] == 1)
        self.assertEqual(self.act("redrive", letter(1))["done"][0]["redriven_seq"], 1, "a second time is the same command")
        self.assertEqual(self.act("drop", letter(2))["done"], [{"session": "echo-act", "command_seq": 2}])
        refused = self.act("drop", {"letters": [{"session": "echo-act", "command_seq": n} for n in (1, 3, 99)]})
        self.assertEqual([x["command_seq"] for x in refused["done"]], [3])
        self.assertEqual([x["command_seq"] for x in refused["failed"]], [1, 99], "redriven already; not there")
        resolved = {x["command_seq"]: x for x in self.get("dead-letters?session=echo-act&resolved=true")["letters"]}
        self.assertEqual({n: x["resolution"] for n, x in resolved.items()}, {1: "redriven", 2: "dropped", 3: "dropped"})
        self.assertEqual(self.get("dead-letters?session=echo-act")["letters"], [])
        self.assertIn("operator 'ops'", self.world.gateway.output, "who did it is in the log")

    def test_many_are_redriven_by_filter_and_what_fails_meanwhile_is_left(self):
        self.park("echo-many", 450, error="disk full", ago_s=60)
        self.park("echo-keep", 3, error="bad data", ago_s=60)
        place = self.get("dead-letters?error=disk&limit=1")["letters"][0]["place"]
        self.park("echo-later", 1, error="disk full")
        body = {"filter": {"error": "disk full"}, "from": place}
        done, requests = [], 0
        while True:
            acted = self.act("redrive", body)
            done += [x["command_seq"] for x in acted["done"]]
            requests += 1
            if not acted["next"]:
                break
            body["from"] = acted["next"]
        self.assertEqual((sorted(done), requests), (list(range(1, 451)), 3))
        self.assertEqual(len(self.get("dead-letters?session=echo-keep")["letters"]), 3)
        self.assertEqual(len(self.get("dead-letters?session=echo-later")["letters"]), 1)
        self.until(lambda: self.get("sessions/echo-many"), lambda h: h["processed_command_seq"] == 450)
        place = self.get("dead-letters?session=echo-keep")["letters"][0]["place"]
        self.assertEqual(len(self.act("drop", {"filter": {"session": "echo-keep"}, "from": place})["done"]), 3)

    def test_acts_say_exactly_what_they_mean(self):
        for body in ({}, {"letters": []}, {"filter": {}}, {"letters": ONE["letters"], "filter": {}}, {"letters": ONE["letters"] * 201},
                     {"filter": {"sesion": "x"}, "from": "1:user-ann:1"}, {"filter": {}, "from": "x"}, {"letters": [{"session": "user-ann"}]}):
            for what in ("redrive", "drop"):
                self.act(what, body, 422)

    # ------------------------------------------------------------ the gateway's database role

    def test_the_documented_roles_are_enough_for_a_gateway_with_its_console(self):
        self.park("user-roles", 2)
        gateway, address = self.world.start_gateway(environment=self.world.login_as("rowcall_gateway", "rowcall_operator"))
        ann, ops = Client(address, token_of("ann")), Client(address, token_of("ops", operator=True))
        self.assertEqual(ann.submit("user-ann", "create_chat", {"name": "Roles", "chat_id": "chat-roles"})["updates"][0]["type"], "request_sent")
        stream = ann.stream("/v1/stream?session=user-ann:0&session=chat-roles:0")
        self.until(lambda: ann.get("/v1/chats?limit=200").json["chats"], lambda all: any(c["chat_id"] == "chat-roles" and c["joined"] for c in all))
        stream.close()
        self.assertEqual(ann.get("/v1/sessions/chat-roles/updates").status, 200)
        self.until(lambda: ops.get("/v1/operator/overview"), lambda answer: answer.status == 200)
        for path in READS:
            answer = ops.get("/v1/operator/" + path)
            self.assertIn(answer.status, (200, 404) if path.startswith("dead-letter?") else (200,), (path, answer.body))
        for n, act in ((1, "redrive"), (2, "drop")):
            answer = ops.post("/v1/operator/dead-letters/" + act, {"letters": [{"session": "user-roles", "command_seq": n}]})
            self.assertEqual((answer.status, len(answer.json["done"])), (200, 1), answer.body)
        self.assertEqual(gateway.stop(), 0)
        self.assertNotIn("permission denied", gateway.output)

    def test_without_the_operators_role_the_console_is_told_so_and_the_rest_works(self):
        gateway, address = self.world.start_gateway(environment=self.world.login_as("rowcall_gateway"))
        ann, ops = Client(address, token_of("ann")), Client(address, token_of("ops", operator=True))
        self.assertEqual(len(ann.submit("user-ann", "select_chat", {"chat_id": "chat-x"})["updates"]), 1)
        self.until(lambda: ops.get("/v1/operator/overview"), lambda answer: answer.status == 500 and b"permission denied" in answer.body)
        for path in ("status", "sessions?order=stuck", "dead-letters"):
            answer = ops.get("/v1/operator/" + path)
            self.assertEqual((answer.status, "permission denied" in answer.json["detail"]), (500, True), path)
        gateway.stop()

    def test_an_error_that_nobody_foresaw_is_in_the_log_and_not_in_the_answer(self):
        gateway, address = self.world.start_gateway(environment=self.world.login_as("rowcall_follower"))
        answer = Client(address, token_of("ann")).post("/v1/sessions/user-ann/commands", {"type": "select_chat"})
        self.assertEqual((answer.status, b"permission" in answer.body), (500, False))
        gateway.wait_for("POST /v1/sessions/user-ann/commands: permission denied")

    # ------------------------------------------------------------ the page

    def test_the_page_is_served_with_its_policy(self):
        page = Client(self.world.address).get("/console/")
        self.assertEqual(page.status, 200)
        self.assertIn("default-src 'none'", page.headers["Content-Security-Policy"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
