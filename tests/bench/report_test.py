"""bench/report makes a self-contained page, says what was not reached, and refuses what is no run."""

import pathlib
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
SCRIPT = HERE.parent.parent / "bench" / "report"


def report(name):
    file = str(HERE / "fixtures" / f"{name}.jsonl")
    done = subprocess.run([sys.executable, SCRIPT, file], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


class Report(unittest.TestCase):
    def test_a_run_becomes_a_page_with_its_targets_bars_and_plots(self):
        code, page, error = report("whole_run")
        self.assertEqual(code, 0, error)
        self.assertIn("Not reached: 1 of the targets", page)
        self.assertIn('<td>at least 0.85</td><td><span class="bad">no</span></td>', page)
        self.assertIn('<td>at most 4</td><td><span class="good">yes</span></td>', page)
        self.assertEqual(page.count("<svg"), 3)  # bars, throughput, latency
        self.assertIn("AMD &lt;EPYC&gt;", page)
        self.assertNotIn("AMD <EPYC>", page)
        for outside in ("http:", "https:", "src=", "href=", "@import", "<script"):
            self.assertNotIn(outside, page)

    def test_a_run_without_targets_is_a_page_too(self):
        code, page, error = report("one_round")
        self.assertEqual(code, 0, error)
        self.assertNotIn("<svg", page)

    def test_what_is_no_run_is_refused(self):
        for name in ("broken", "missing"):
            code, page, error = report(name)
            self.assertEqual((code, page), (2, ""))
            self.assertIn(f"{name}.jsonl", error)


if __name__ == "__main__":
    unittest.main()
