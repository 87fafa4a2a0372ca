"""Every macro benchmark runs, briefly, and bench/report makes a page of what it says: none rots.

    macro_test.py ROWCALL ROWCALL_BENCH    needs the shared servers that ROWCALL_TEST_SERVERS names
"""

import html.parser
import json
import os
import pathlib
import subprocess
import sys
import unittest

from program import Program

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SIZES = ("--rounds 1 --commands 2000 --sessions 100 --many-sessions 1000 --singles 50 --open-seconds 1 --open-warm-up 0.2 "
         "--idle-seconds 1 --idle-sessions 100 --visited-sessions 2000 --active-sessions 2000 --passivate-seconds 1 "
         "--start-commands 2000 --start-sessions 500 --soak-minutes 0.1").split()
GROUPS = "drain,live,zipf,hot,many,single,open,curve,idle,memory,start,soak"
# What the table of targets asks for: figure -> what it is compared with (nothing: itself).
TARGETS = {
    "drain_per_s": ["limit_client_per_s", "limit_sql_per_s"],
    "live_per_s": ["live_client_per_s"],
    "zipf_per_s": ["live_per_s"],
    "hot_per_s": ["live_per_s"],
    "hot_half_per_s": ["live_per_s"],
    "live_engine_cpu_share": [],
    "many_per_s": ["live_per_s"],
    "single_us": ["commit_us"],
    "open_p50_us": ["commit_us"],
    "open_p99_us": ["commit_us"],
    "passivated_rss_mib": ["baseline_rss_mib"],
    "soak_last_per_s": ["soak_second_per_s"],
    "soak_last_p99_ms": ["soak_second_p99_ms"],
    "active_session_bytes": [],
    "idle_core_share": [],
    "idle_rss_mib": [],
    "soak_other_dead_rows": [],
    "start_first_update_s": [],
    "start_peak_rss_mib": [],
}

class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.references = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.references += [value for key, value in attrs if key in ("src", "href", "xlink:href", "data")]

class Macro(Program):
    def test_every_figure_is_measured_and_the_page_shows_it(self):
        done = self.run_bench("--commit", "abc", "--postgres-pid", str(os.getpid()), "--nats-pid", str(os.getpid()),
                              "--only", GROUPS, *SIZES)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        figures = {row["figure"]: row for row in rows if "figure" in row}
        for name, others in TARGETS.items():
            with self.subTest(name):
                row = figures[name]
                self.assertEqual(row["commit"], "abc")
                self.assertEqual(row["configuration"]["commands"], 2000)
                self.assertTrue(row["machine"]["cpu"] and row["machine"]["postgresql_settings"]["synchronous_commit"])
                self.assertLessEqual(row["min"], row["median"])
                self.assertLessEqual(row["median"], row["max"])
                self.assertEqual([r["to"] for r in row["ratios"]][: len(others)], others)
                for judged in row["ratios"] or [row]:
                    self.assertIn(judged["reached"], (True, False))

        for throughput in ("drain_per_s", "live_per_s", "limit_client_per_s", "limit_sql_per_s", "live_client_per_s"):
            self.assertGreater(figures[throughput]["median"], 0)
        self.assertEqual(figures["soak_other_dead_rows"]["median"], 0)
        self.assertEqual({row["plot"] for row in rows if "plot" in row},
                         {"throughput", "latency against load", "soak", "soak latency"})

        output = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / f"{self.database}.json"
        self.addCleanup(output.unlink)
        output.write_text(done.stdout, encoding="utf-8")
        made = subprocess.run([sys.executable, ROOT / "bench" / "report", output], capture_output=True, text=True, timeout=60)
        self.assertEqual(made.returncode, 0, made.stderr)
        page = Page()
        page.feed(made.stdout)
        self.assertEqual(page.references, [], "the page asks for something outside")
        self.assertNotIn("script", page.tags)
        self.assertEqual(page.tags.count("svg"), 5)  # the ratio bars and four plots
        for name in figures:
            self.assertIn(name, made.stdout)

    def test_the_open_loop_has_a_yardstick_of_its_own_in_every_round(self):
        for groups in ("open", "single,open"):
            done = self.run_bench("--only", groups, "--rounds", "2", *"--commands 500 --sessions 50 --singles 20 --open-seconds 0.4 "
                                  "--open-warm-up 0.1".split())
            self.assertEqual(done.returncode, 0, done.stderr)
            figures = {row["figure"]: row for row in map(json.loads, done.stdout.splitlines()) if "figure" in row}
            for name in ("open_p50_us", "commit_us"):
                self.assertEqual(figures[name]["rounds"], 2, f"{name} of --only {groups}")

    def test_a_command_line_that_is_wrong_measures_nothing(self):
        for options in (["--only", "drain,dream"], ["--rounds", "many"], ["--colour", "red"], ["--rounds"]):
            done = self.run_bench(*options)
            self.assertEqual((done.returncode, done.stdout), (2, ""), options)
            self.assertIn(options[0], done.stderr)

if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
