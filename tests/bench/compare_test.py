"""bench/compare tells a regression from the noise, and a slow machine from a slow engine."""

import pathlib
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
SCRIPT = HERE.parent.parent / "bench" / "compare"


def compare(before, after, *options):
    files = [str(HERE / "fixtures" / f"{name}.jsonl") for name in (before, after)]
    done = subprocess.run([sys.executable, SCRIPT, *files, *options], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def line_of(figure, text):
    return next(line for line in text.splitlines() if line.startswith(figure + " "))


class Compare(unittest.TestCase):
    def test_a_run_is_no_worse_than_itself(self):
        code, text = compare("before", "before")
        self.assertEqual(code, 0, text)
        self.assertNotIn("WORSE", text)

    def test_ranges_that_overlap_are_noise(self):
        code, text = compare("before", "noise")
        self.assertEqual(code, 0, text)
        self.assertIn("within the noise", line_of("drain_per_s", text))

    def test_less_throughput_is_a_regression(self):
        code, text = compare("before", "slower")
        self.assertEqual(code, 1, text)
        self.assertIn("-25.0 %  WORSE beyond the threshold", line_of("drain_per_s", text))

    def test_more_latency_is_a_regression(self):
        code, text = compare("before", "later")
        self.assertEqual(code, 1, text)
        self.assertIn("+50.0 %  WORSE beyond the threshold", line_of("single_us", text))

    def test_better_is_said_and_passes(self):
        code, text = compare("before", "faster")
        self.assertEqual(code, 0, text)
        for figure in ["drain_per_s", "single_us"]:
            self.assertIn("better", line_of(figure, text))

    def test_the_threshold_decides(self):
        code, text = compare("before", "slightly_slower")
        self.assertEqual(code, 0, text)
        self.assertIn("WORSE", line_of("drain_per_s", text))
        self.assertEqual(compare("before", "slightly_slower", "--threshold", "3")[0], 1)

    def test_a_yardstick_is_never_a_regression(self):
        code, text = compare("before", "other_machine")
        self.assertEqual(code, 0, text)
        self.assertIn("a yardstick", line_of("limit_client_per_s", text))

    def test_a_single_round_that_misses_its_target_is_a_regression(self):
        code, text = compare("once", "once_target_missed")
        self.assertEqual(code, 1, text)
        self.assertIn("WORSE (one round): it does not reach its target any more", line_of("idle_core_share", text))
        self.assertEqual(text.count("WORSE"), 1, text)
        self.assertEqual(compare("once_target_missed", "once")[0], 0, "the other way round it is better")

    def test_a_single_round_whose_ratio_misses_its_target_is_a_regression(self):
        code, text = compare("once", "once_ratio_missed")
        self.assertEqual(code, 1, text)
        self.assertIn("WORSE (one round): the ratio to baseline_rss_mib", line_of("passivated_rss_mib", text))

    def test_a_single_round_without_a_target_may_differ_by_a_wide_factor(self):
        code, text = compare("once", "once_fourfold")
        self.assertEqual(code, 1, text)
        self.assertIn("WORSE (one round): by a factor", line_of("idle_rss_mib", text))
        self.assertEqual(compare("once_fourfold", "once")[0], 0, "the other way round it is better")

    def test_single_rounds_differ(self):
        code, text = compare("once", "once_alike")  # one target is missed by 2 %, which is within the threshold
        self.assertEqual(code, 0, text)
        self.assertNotIn("WORSE", text)
        self.assertEqual(compare("once", "once_alike", "--threshold", "2")[0], 1)

    def test_more_than_nothing_is_judged_by_the_target_alone(self):
        code, text = compare("once_nothing", "once")
        self.assertEqual(code, 0, text)
        self.assertEqual(compare("once_nothing", "once_target_missed")[0], 1)

    def test_a_figure_that_is_missing_is_a_failure_unless_only_some_were_measured(self):
        code, text = compare("before", "one_round")
        self.assertEqual(code, 1, text)
        self.assertIn("only in", line_of("drain_per_s", text))
        self.assertEqual(compare("before", "one_round", "--subset")[0], 0)

    def test_a_figure_that_is_new_is_told(self):
        code, text = compare("one_round", "before")
        self.assertEqual(code, 0, text)
        self.assertIn("only in", line_of("drain_per_s", text))

    def test_two_files_with_nothing_in_common_can_not_be_compared(self):
        for options in ([], ["--subset"]):
            code, text = compare("once", "yardsticks", *options)
            self.assertEqual(code, 2, text)

    def test_a_file_that_can_not_be_read_is_an_error(self):
        for name in ["broken", "missing"]:
            code, text = compare("before", name)
            self.assertEqual(code, 2, text)
            self.assertIn(f"{name}.jsonl", text)


if __name__ == "__main__":
    unittest.main()
