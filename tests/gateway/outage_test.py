"""PostgreSQL or NATS that is away, at the start of a gateway or later."""

import json
import os
import subprocess
import time
import unittest

from world import DEADLINE_S, Client, World, die_with_parent, directory, token_of


class Nats:
    """A nats-server of the test's own, which comes back at the address that it had."""

    def __init__(self):
        self.port = -1
        self.folder = directory()
        self.start()
        self.url = f"nats://127.0.0.1:{self.port}"

    def start(self):
        self.child = subprocess.Popen(
            ["nats-server", "-a", "127.0.0.1", "-p", str(self.port), "--ports_file_dir", self.folder],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        file = os.path.join(self.folder, f"nats-server_{self.child.pid}.ports")
        deadline = time.monotonic() + DEADLINE_S
        while not os.path.exists(file) or not os.path.getsize(file):
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("nats-server did not start")
            time.sleep(0.02)
        with open(file, encoding="utf-8") as ports:
            self.port = int(json.load(ports)["nats"][0].rsplit(":", 1)[1])

    def kill(self):
        self.child.kill()
        self.child.wait()


class outage(unittest.TestCase):
    def setUp(self):
        self.world = World(engine=False, gateway=False)
        self.addCleanup(self.world.close)

    def take_database_away(self):
        self.world.sql(f'ALTER DATABASE "{self.world.name}" ALLOW_CONNECTIONS false', self.world.admin_url)

    def bring_database_back(self):
        self.world.sql(f'ALTER DATABASE "{self.world.name}" ALLOW_CONNECTIONS true', self.world.admin_url)

    def start(self, environment=()):
        gateway = self.world.start("gateway", "--listen", "127.0.0.1:0", "--development", "--log-repeat-period", "1h",
                                   environment=environment)
        gateway.wait_for("gateway: http://")
        return gateway, gateway.output.split("gateway: http://", 1)[1].split()[0]

    def until(self, condition, what):
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.05)

    def test_a_gateway_listens_while_its_database_is_away_and_serves_when_it_is_there(self):
        self.take_database_away()
        gateway, address = self.start()
        client = Client(address, token_of("ann"))
        gateway.wait_for("waiting for PostgreSQL: ")
        self.assertEqual(client.get("/healthz").status, 200)
        answer = client.get("/readyz")
        self.assertEqual((answer.status, answer.json),
                         (503, {"ready": False, "database": False, "nats": True, "draining": False}))
        self.assertIn("\nrowcall_gateway_database_connected 0", client.get("/metrics").body.decode())
        self.assertEqual(client.get(client.get("/").headers["Location"]).status, 200)
        self.assertEqual(Client(address).get("/v1/sessions/user-ann/updates").status, 401)
        for answer in (client.get("/v1/sessions/user-ann/updates"),
                       client.post("/v1/sessions/user-ann/commands", {"type": "select_chat", "data": {}})):
            self.assertEqual((answer.status, answer.json["type"], answer.headers["Retry-After"]),
                             (503, "/problems/unavailable", "1"))

        self.bring_database_back()
        self.until(lambda: client.get("/readyz").status == 200, "ready")
        self.world.start_engine()
        client.submit("user-ann", "select_chat", {"chat_id": "chat-x"})
        stream = client.stream("/v1/sessions/user-ann/updates?after=0")
        self.assertEqual(stream.updates(1)[0]["seq"], 1)
        stream.close()
        gateway.wait_for(" info ready")
        self.assertEqual(gateway.output.count("waiting for PostgreSQL: "), 1, gateway.output)

        self.take_database_away()
        self.world.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.world.name}'",
                       self.world.admin_url)
        gateway.wait_for("not ready: PostgreSQL can not be reached")
        self.bring_database_back()
        self.until(lambda: gateway.output.count(" info ready") == 2, "told that it is back")
        self.assertEqual(gateway.output.count("not ready: "), 1, gateway.output)
        self.assertEqual(gateway.stop(), 0)

    def test_a_stop_ends_the_wait_for_the_database(self):
        self.take_database_away()
        gateway, _ = self.start()
        gateway.wait_for("waiting for PostgreSQL: ")
        self.assertEqual(gateway.stop(), 0)

    def test_nothing_is_read_or_written_before_the_schema_is_known_to_fit(self):
        holder = self.world.hold("LOCK TABLE rowcall.migrations IN ACCESS EXCLUSIVE MODE")
        self.addCleanup(holder.communicate, timeout=DEADLINE_S)
        self.addCleanup(holder.kill)
        self.take_database_away()
        gateway, address = self.start()
        client = Client(address, token_of("ann"))
        self.bring_database_back()
        programs = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{self.world.name}' AND application_name = 'rowcall %s'"
        self.until(lambda: self.world.sql(programs % "check" + " AND wait_event_type = 'Lock'", self.world.admin_url) == "1",
                   "looks at the schema")
        self.assertEqual(client.get("/v1/sessions/user-ann/updates").status, 503)
        self.assertEqual(client.get("/readyz").status, 503)
        self.assertEqual(self.world.sql(programs % "gateway", self.world.admin_url), "0")
        holder.kill()
        self.until(lambda: client.get("/readyz").status == 200, "ready")
        self.assertEqual(client.get("/v1/sessions/user-ann/updates").status, 200)
        self.assertEqual(gateway.stop(), 0)

    def test_a_database_that_comes_with_another_schema_ends_the_gateway(self):
        self.world.rowcall("migrate", "down", "--to", "0")
        self.take_database_away()
        gateway, _ = self.start()
        self.bring_database_back()
        gateway.wait_for("run `rowcall migrate up`")
        self.assertEqual(gateway.child.wait(DEADLINE_S), 1)
        # At once when the database is there from the beginning: nobody is told an address.
        gateway = self.world.start("gateway", "--listen", "127.0.0.1:0", "--development")
        self.assertEqual(gateway.child.wait(DEADLINE_S), 1)
        gateway.wait_for("[ended]")
        self.assertNotIn("gateway: http://", gateway.output)

    def test_the_log_tells_once_when_nats_goes_and_when_it_is_back(self):
        nats = Nats()
        self.addCleanup(nats.kill)
        gateway, address = self.start({"ROWCALL_NATS_URL": nats.url})
        client = Client(address)
        self.until(lambda: client.get("/readyz").json["nats"], "connected")
        gone, back = "NATS is not connected: streams look at the database once a second until it is back", "NATS is connected"
        for time_ in (1, 2):
            nats.kill()
            self.until(lambda: gateway.output.count(gone) == time_, gateway.output)
            nats.start()
            self.until(lambda: gateway.output.count(back) == time_, gateway.output)
        self.assertEqual(client.get("/readyz").status, 200)
        self.assertEqual((gateway.output.count(gone), gateway.output.count(back)), (2, 2), gateway.output)
        self.assertEqual(gateway.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
