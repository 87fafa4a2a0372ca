"""The script `run` in a clone of its own, with a rowcall that is built already: what it starts, says, and leaves behind.

    run_test.py ROWCALL

Everything waits for a condition with a deadline; what is started here ends here.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
ROWCALL = pathlib.Path(sys.argv[1]).resolve()
DEADLINE_S = 90


def eventually(condition):
    end = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        if time.monotonic() > end:
            return found
        time.sleep(0.02)
    return found


class Clone:
    """A folder with what `run` needs; the build there has nothing to do."""

    def __init__(self, mode=0o755):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rowcall-run-"))
        self.folder.chmod(mode)  # 0700: a user `postgres` can not reach it
        shutil.copy2(ROOT / "run", self.folder)
        shutil.copytree(ROOT / "tools" / "setup", self.folder / "tools" / "setup")
        build = self.folder / "build" / "release"
        self.program = build / "tools" / "rowcall" / "rowcall"
        self.program.parent.mkdir(parents=True)
        self.program.symlink_to(ROWCALL)
        (build / "build.ninja").write_text("build rowcall: phony\n", encoding="utf-8")
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("ROWCALL_")}
        self.environment["ROWCALL_INSTALL"] = "no"

    def run(self, *arguments):
        return subprocess.run([self.folder / "run", *arguments], env=self.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=DEADLINE_S)

    def begin(self, *arguments):
        return Running([self.folder / "run", *arguments], self.environment)

    def addresses(self):
        lines = (self.folder / ".run" / "env").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def processes(self):
        """The command lines of all that run out of this clone, or in its database's folder: {pid: command line}."""
        places = [str(self.folder), os.path.realpath(self.folder / ".run" / "postgres")]
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                works_in = os.readlink(entry / "cwd")
            except OSError:  # it has ended, or is another user's
                continue
            if any(place in command or works_in.startswith(place) for place in places):
                found[int(entry.name)] = command
        return found

    def remove(self):
        self.run("reset")
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder)


class Running:
    """A `run` in a process group of its own, as a terminal gives it one; its output is collected."""

    def __init__(self, arguments, environment):
        self.output, self.has_ended = "", False
        self.changed = threading.Condition()
        # A shell can not catch what was ignored when it began, and whoever runs the tests may ignore it.
        self.child = subprocess.Popen(arguments, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, start_new_session=True,
                                      preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            with self.changed:
                self.output += line
                self.changed.notify_all()
        with self.changed:
            self.has_ended = True
            self.changed.notify_all()

    def wait_for(self, text):
        with self.changed:
            self.changed.wait_for(lambda: text in self.output or self.has_ended, DEADLINE_S)
            return text in self.output

    def press_ctrl_c(self):
        """The exit code."""
        os.killpg(self.child.pid, signal.SIGINT)
        return self.child.wait(DEADLINE_S)

    def end(self):
        if self.child.poll() is None:
            self.child.terminate()
        self.child.wait(DEADLINE_S)
        self.child.stdout.close()


class Run(unittest.TestCase):
    def clone(self, **how):
        clone = Clone(**how)
        self.addCleanup(clone.remove)
        return clone

    def begin(self, clone, *arguments):
        running = clone.begin(*arguments)
        self.addCleanup(running.end)
        return running

    def assert_nothing_runs(self, clone):
        eventually(lambda: not clone.processes())
        self.assertEqual(clone.processes(), {})

    def test_services_starts_both_servers_says_where_they_are_and_stop_ends_them(self):
        clone = self.clone()
        done = clone.run("services")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        addresses = clone.addresses()
        self.assertEqual(set(addresses), {"ROWCALL_DATABASE_URL", "ROWCALL_NATS_URL"})
        self.assertTrue(addresses["ROWCALL_NATS_URL"].startswith("nats://"))
        asked = subprocess.run(["psql", "-XqAt", "-d", addresses["ROWCALL_DATABASE_URL"], "-c", "SELECT 40 + 2"],
                               capture_output=True, text=True, timeout=30)
        self.assertEqual(asked.stdout, "42\n", asked.stderr)
        self.assertEqual(clone.run("status").stdout.split("\n")[:3], ["postgres  up", "nats      up", "engine    down"])
        self.assertTrue(clone.processes())
        self.assertEqual(clone.run("stop").returncode, 0)
        self.assert_nothing_runs(clone)
        self.assertFalse((clone.folder / ".run" / "env").exists())

    def test_plays_the_demonstration_and_leaves_nothing_running(self):
        clone = self.clone()
        for _ in range(2):  # and again with the database that is there
            done = clone.run("--", "--commands", "2000", "--sessions", "50")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("lost 0, duplicated 0, reordered 0, gaps 0", done.stdout)
            self.assert_nothing_runs(clone)

    def test_up_leaves_everything_up_until_stop(self):
        clone = self.clone()
        done = clone.run("up")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        told = subprocess.run([ROWCALL, "submit", "echo-1", "say", "{}", "--wait"], env=clone.environment | clone.addresses(),
                              capture_output=True, text=True, timeout=DEADLINE_S)
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertEqual(clone.run("stop").returncode, 0)
        self.assert_nothing_runs(clone)

    def test_ctrl_c_while_the_database_is_made_leaves_nothing_running(self):
        clone = self.clone(mode=0o700)
        running = self.begin(clone, "services")
        self.assertTrue(running.wait_for("creating a database cluster"), running.output)
        self.assertEqual(running.press_ctrl_c(), 130, running.output)
        self.assert_nothing_runs(clone)
        done = clone.run("services")  # what is left half made is no hindrance
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_ctrl_c_while_the_engine_runs_leaves_nothing_running(self):
        clone = self.clone()
        running = self.begin(clone, "--", "--commands", "10000000")
        self.assertTrue(running.wait_for("engine ready"), running.output)
        self.assertTrue(clone.processes())
        self.assertEqual(running.press_ctrl_c(), 130, running.output)
        self.assert_nothing_runs(clone)

    def test_refuses_what_it_does_not_know(self):
        done = self.clone().run("nonsense")
        self.assertEqual(done.returncode, 2)
        self.assertIn("unknown argument: nonsense", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
