"""PostgreSQL that neither answers nor goes away: who waits for it can still be told so, and stopped."""

import os
import signal
import subprocess
import threading
import time
import unittest

from world import Client, World, token_of


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
        holder = subprocess.Popen([self.world.psql, "-XqAt", self.world.url], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)

        def end():
            holder.kill()
            holder.communicate(timeout=30)

        self.addCleanup(end)
        holder.stdin.write(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n")
        holder.stdin.flush()
        self.assertEqual(holder.stdout.readline(), "locked\n")

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
