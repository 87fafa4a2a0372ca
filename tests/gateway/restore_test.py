"""A gateway that lives through a restore: nothing of before it is told as if it still were."""

import os
import subprocess
import time
import unittest

from world import DEADLINE_S, Client, World, directory, server_values, token_of


class restore(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.client = Client(self.world.address, token_of("ann", submit=["echo-*"], follow=["echo-*"]))

    def tearDown(self):
        self.world.close()

    def say(self, text, count):
        """Tries again, as a client does: a restore has cut the gateway's connections."""
        for i in range(count):
            key, deadline = f"{text}-{i}", time.monotonic() + DEADLINE_S
            while True:
                answer = self.client.post("/v1/sessions/echo-a/commands?wait=10s", {"type": "say", "data": {"text": text}},
                                          headers={"Idempotency-Key": key})
                if answer.status == 200:
                    break
                self.assertEqual(answer.status, 503, answer.body)
                self.assertLess(time.monotonic(), deadline)

    def tool(self, name, *arguments):
        subprocess.run([os.path.join(server_values()["POSTGRES_BIN"], name), *arguments], check=True, timeout=DEADLINE_S)

    def test_streams_end_and_begin_anew_with_what_is_there_now(self):
        world, c = self.world, self.client
        dump = os.path.join(directory(), "dump")
        self.say("kept", 5)
        world.engine.stop()
        self.tool("pg_dump", "-Fc", "-f", dump, world.url)
        world.start_engine()
        self.say("lost", 5)
        open_one = c.stream("/v1/sessions/echo-a/updates?after=0")
        name, _, first = open_one.event()
        self.assertEqual(name, "incarnation")
        self.assertEqual([u["data"]["text"] for u in open_one.updates(10)], ["kept"] * 5 + ["lost"] * 5)
        self.assertEqual(c.get("/v1/sessions/echo-a/updates?after=9").json["incarnation"], first["incarnation"])

        # The disaster. The gateway stays.
        world.processes[-1].stop()
        world.sql(f'DROP DATABASE "{world.name}" WITH (FORCE)', world.admin_url)
        world.sql(f'CREATE DATABASE "{world.name}"', world.admin_url)
        self.tool("pg_restore", "-d", world.url, dump)
        world.rowcall("restored")
        world.start_engine()
        self.assertEqual([e[0] for e in open_one.until("restored")][-1], "restored")
        self.assertIsNone(open_one.event())
        self.say("new", 10)

        # In the ring of before: 6 to 10 of the history that never happened.
        for after in (0, 5, 7):
            again = c.stream(f"/v1/sessions/echo-a/updates?after={after}")
            second = again.event()[2]
            self.assertNotEqual(second["incarnation"], first["incarnation"])
            expected = (["kept"] * 5 + ["new"] * 10)[after:]
            self.assertEqual([u["data"]["text"] for u in again.updates(15 - after)], expected)
            again.close()
        for path in ("/updates?after=3", "/updates?before=end", "", "/snapshot"):
            self.assertEqual(c.get("/v1/sessions/echo-a" + path).json["incarnation"], second["incarnation"], path)


if __name__ == "__main__":
    unittest.main()
