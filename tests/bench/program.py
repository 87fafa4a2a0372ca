"""A program of bench/ on a database of a test's own, on the shared servers that ROWCALL_TEST_SERVERS names."""

import os
import re
import subprocess
import sys
import unittest

ROWCALL, BENCH = sys.argv[1:3]


class Program(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(os.environ["ROWCALL_TEST_SERVERS"], encoding="utf-8") as file:
            shared = dict(line.rstrip("\n").split("=", 1) for line in file)
        cls.psql = [shared["POSTGRES_BIN"] + "/psql", "-XqAt", "-d", shared["POSTGRES_URL"]]
        cls.database = f"bench_{os.getpid()}"
        subprocess.run([*cls.psql, "-c", f"CREATE DATABASE {cls.database}"], check=True, timeout=60)
        url = re.sub(r"/postgres\?", f"/{cls.database}?", shared["POSTGRES_URL"])
        cls.environment = os.environ | {"ROWCALL_DATABASE_URL": url, "ROWCALL_NATS_URL": shared["NATS_URL"],
                                        "ROWCALL_SUBJECT_PREFIX": cls.database}
        subprocess.run([ROWCALL, "migrate", "up"], env=cls.environment, check=True, capture_output=True, timeout=60)

    @classmethod
    def tearDownClass(cls):
        subprocess.run([*cls.psql, "-c", f"DROP DATABASE {cls.database} WITH (FORCE)"], check=True, timeout=60)

    def run_bench(self, *options):
        return subprocess.run([BENCH, "--rowcall", ROWCALL, *options], env=self.environment, capture_output=True, text=True,
                              timeout=170)
