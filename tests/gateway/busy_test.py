"""Admission as clients of the gateway see it: how long to wait, and nothing out of order."""

import unittest

from world import World


class busy(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.client = self.world.client("ann")
        self.client.submit("user-ann", "select_chat", {"chat_id": "chat-0"})
        self.world.engine.stop()  # its sweep would open the way again

    def tearDown(self):
        self.world.close()

    def test_a_refusal_says_when_to_try_again(self):
        for wait_ms, seconds in ((2500, "3"), (20, "1")):
            self.world.sql(f"SELECT rowcall.set_overload({wait_ms})")
            body = [{"type": "select_chat", "data": {"chat_id": f"chat-{i}"}, "idempotency_key": f"k{i}"} for i in range(100)]
            answer = self.client.post("/v1/sessions/user-ann/commands", body)
            self.assertEqual((answer.status, answer.headers["Retry-After"]), (503, seconds))
            self.assertEqual((answer.json["type"], answer.json["retry_after_ms"]), ("/problems/busy", wait_ms))
            self.assertNotIn("receipts", answer.json)
        self.world.sql("SELECT rowcall.set_overload(0)")
        receipts = self.client.post("/v1/sessions/user-ann/commands", body).json["receipts"]
        self.assertEqual([r["command_seq"] for r in receipts], list(range(2, 102)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
