"""PostgreSQL or NATS that neither answers nor goes away: who waits for it can still be told so, and stopped."""

import os
import signal
import socket
import threading
import time
import unittest

from world import DEADLINE_S, Client, World, server_values, token_of


class Relay:
    """A port that leads to NATS, until it falls silent: its connections stay, and nothing goes through any more."""

    def __init__(self):
        self.target = server_values()["NATS_URL"].split("://", 1)[1].rsplit(":", 1)
        self.is_open = threading.Event()
        self.is_open.set()
        self.has_notified = threading.Event()  # something that was subscribed to came through
        self.sockets = [socket.create_server(("127.0.0.1", 0))]
        self.url = f"nats://127.0.0.1:{self.sockets[0].getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                client, _ = self.sockets[0].accept()
                server = socket.create_connection((self.target[0], int(self.target[1])))
                self.sockets += [client, server]
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, client), daemon=True).start()
        except OSError:
            pass  # closed

    def _pass_on(self, source, to):
        try:
            while data := source.recv(65536):
                self.is_open.wait()
                to.sendall(data)
                if data.startswith((b"MSG ", b"HMSG ")):
                    self.has_notified.set()
        except OSError:
            pass

    def fall_silent(self):
        self.is_open.clear()

    def close(self):
        self.is_open.set()
        for one in self.sockets:
            one.close()


class silence(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(gateway=False)

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def freeze(self, program):
        """Stops the server's processes that serve a program; the connections stay."""
        pids = self.world.sql("SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                              f" AND application_name = 'rowcall {program}'").split()
        self.assertTrue(pids)

        def thaw():
            for pid in pids:
                try:
                    os.kill(int(pid), signal.SIGCONT)
                except ProcessLookupError:
                    pass

        self.addCleanup(thaw)
        for pid in pids:
            os.kill(int(pid), signal.SIGSTOP)
        return thaw

    def lock(self, table):
        """Nobody else reads it until the test ends."""
        holder = self.world.hold(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")

        def end():
            holder.kill()
            holder.communicate(timeout=30)

        self.addCleanup(end)

    def until(self, condition, what):
        deadline = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.05)

    def test_a_gateway_is_not_ready_while_no_answer_comes(self):
        gateway, address = self.world.start_gateway()
        client = Client(address)
        self.assertEqual(client.get("/readyz").status, 200)
        thaw = self.freeze("gateway")
        self.until(lambda: client.get("/readyz").status == 503, "not ready")
        self.assertEqual(client.get("/healthz").status, 200)
        thaw()
        self.until(lambda: client.get("/readyz").status == 200, "ready again")
        self.assertEqual(gateway.stop(), 0)

    def test_a_stop_of_a_gateway_has_a_bound(self):
        gateway, address = self.world.start_gateway(["--stop-timeout", "1s"])
        client = Client(address, token_of("ann"))
        client.submit("user-ann", "join_chat", {"chat_id": "chat-none"})
        self.freeze("gateway")

        def submit():
            try:
                client.submit("user-ann", "join_chat", {"chat_id": "chat-none"}, wait=None)
            except Exception:
                pass  # it is cut off

        thread = threading.Thread(target=submit)
        thread.start()
        self.until(lambda: Client(address).get("/readyz").status == 503, "not ready")
        began = time.monotonic()
        self.assertEqual(gateway.stop(), 1)
        self.assertLess(time.monotonic() - began, 8)
        thread.join(20)
        gateway.wait_for("the stop took longer than")

    def test_a_read_that_fails_for_good_is_in_the_log(self):
        gateway, address = self.world.start_gateway(["--poll-interval", "200ms"])
        stream = Client(address, token_of("ben")).stream("/v1/sessions/user-ben/updates")
        stream.until("ready")
        self.world.sql("ALTER TABLE rowcall.update_log RENAME TO away")
        self.addCleanup(self.world.sql, "ALTER TABLE IF EXISTS rowcall.away RENAME TO update_log")
        gateway.wait_for("a read failed: ")
        self.world.sql("ALTER TABLE rowcall.away RENAME TO update_log")
        Client(address, token_of("ben")).submit("user-ben", "join_chat", {"chat_id": "chat-none"})
        self.assertEqual(stream.updates(1)[0]["seq"], 1)
        stream.close()

    def test_a_receipt_comes_while_nats_is_silent(self):
        relay = Relay()
        self.addCleanup(relay.close)
        gateway, address = self.world.start_gateway(["--poll-interval", "1h"], environment={"ROWCALL_NATS_URL": relay.url})
        client = Client(address, token_of("eve"))
        client.submit("user-eve", "select_chat", {"chat_id": "chat-1"})
        self.assertTrue(relay.has_notified.wait(DEADLINE_S))
        relay.fall_silent()
        answer = client.post("/v1/sessions/user-eve/commands?wait=20s", {"type": "select_chat", "data": {"chat_id": "chat-2"}})
        self.assertEqual((answer.status, len(answer.json["receipts"][0].get("updates", []))), (200, 1))

    def test_an_interrupt_ends_a_command_that_waits(self):
        status = self.world.start("status", "--watch", "--interval", "100ms")
        status.wait_for("sessions")
        # Its question is with the server, which can not answer: so it waits when the server falls silent.
        self.lock("rowcall.command_log")
        waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rowcall status' AND wait_event_type = 'Lock'"
        self.until(lambda: self.world.sql(waits + " AND datname = current_database()") == "1", "waits for an answer")
        self.freeze("status")
        began = time.monotonic()
        self.assertEqual(status.stop(signal.SIGINT), 1)
        self.assertLess(time.monotonic() - began, 10)


if __name__ == "__main__":
    unittest.main(verbosity=2)
