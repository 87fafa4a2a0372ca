"""A seed is the same run in every process, and the mode without an end goes on until it is stopped.

    replay_test.py SIMULATION_TESTS
"""

import re
import signal
import subprocess
import sys
import unittest

PROGRAM = sys.argv.pop(1)
SEEDS = 8  # calm ones, commands that kill, slow clients among them


def traces(first, **environment):
    """What the process prints of its runs: all but what GoogleTest says, with its times."""
    ran = subprocess.run([PROGRAM, "--first", str(first), "--seeds", str(SEEDS), "--trace"], stdout=subprocess.PIPE,
                         env=environment, timeout=120, check=True)
    return b"".join(line for line in ran.stdout.splitlines(True) if re.match(rb"\d+us ", line))


class replay(unittest.TestCase):
    def test_a_seed_gives_the_same_trace_to_the_byte_in_another_process(self):
        first = traces(1)
        # Other addresses: what depends on them, an order in a hash table say, shows.
        second = traces(1, PADDING="x" * 100_000, MALLOC_ARENA_MAX="1", MALLOC_PERTURB_="165")
        self.assertGreater(first.count(b"\n"), 1_000 * SEEDS)
        self.assertTrue(first == second, "the traces differ")

    def test_without_an_end_it_tells_each_thousand_until_a_signal(self):
        process = subprocess.Popen([PROGRAM, "--first", "997", "--seeds", "0"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for line in process.stdout:
            if line == "seeds 997 to 1000 keep the promise\n":
                break
        else:
            self.fail("it ended by itself")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), -signal.SIGTERM)


if __name__ == "__main__":
    unittest.main()
