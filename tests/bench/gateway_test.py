"""What the gateway costs is measured, briefly, and judged by what is wanted of it: the benchmark does not rot.

    gateway_test.py ROWCALL ROWCALL_GATEWAY_BENCH    needs the shared servers that ROWCALL_TEST_SERVERS names
"""

import json
import sys
import unittest

from program import Program

SIZES = "--streams 50 --rounds 1 --singles 20 --submit-s 1 --idle-s 1".split()
# What the issue asks for: figure -> what it is compared with (nothing: itself), which way, and the bound.
TARGETS = {
    "gateway_streams_rss_mib": (None, "at_most", 300),
    "gateway_streams_idle_core_share": (None, "at_most", 0.02),
    "gateway_shared_streams_rss_mib": (None, "at_most", 300),
    "gateway_shared_streams_idle_core_share": (None, "at_most", 0.02),
    "gateway_http_us": ("gateway_client_us", "at_most", 2),
    "gateway_http_submit_per_s": ("gateway_client_submit_per_s", "at_least", 0.5),
}


class Gateway(Program):
    def test_every_figure_is_measured_and_judged(self):
        done = self.run_bench("--commit", "abc", *SIZES)
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = {row["figure"]: row for row in map(json.loads, done.stdout.splitlines())}
        for name, (to, which, bound) in TARGETS.items():
            with self.subTest(name):
                row = figures[name]
                self.assertEqual((row["commit"], row["configuration"]["streams"], row["rounds"]), ("abc", 50, 1))
                judged = next(r for r in row["ratios"] if r["to"] == to) if to else row
                self.assertEqual(judged[which], bound)
                is_reached = judged["median"] <= bound if which == "at_most" else judged["median"] >= bound
                self.assertIs(judged["reached"], is_reached)
        for name in ("gateway_client_us", "gateway_client_submit_per_s", "gateway_streams_opened_per_s", "gateway_streams_rss_mib"):
            self.assertGreater(figures[name]["median"], 0, name)

    def test_a_command_line_that_is_wrong_measures_nothing(self):
        for options in (["--colour", "red"], ["--only", "dream"], ["--streams"]):
            done = self.run_bench(*options)
            self.assertEqual((done.returncode, done.stdout), (2, ""), options)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
