"""Every shell script can be read by bash: a slip shows here, also in those that no test runs."""

import pathlib
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
SCRIPTS = """run test .ci/run tools/setup/packages tools/setup/services.bash tests/support/servers tests/chaos/run tests/fuzz/run
             tests/web/packages tests/examples/npm_install bench/run bench/growth bench/overload bench/gateway/run""".split()


class Scripts(unittest.TestCase):
    def test_are_in_order(self):
        for script in SCRIPTS:
            with self.subTest(script):
                read = subprocess.run(["bash", "-n", ROOT / script], capture_output=True, text=True, timeout=30)
                self.assertEqual((read.returncode, read.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
