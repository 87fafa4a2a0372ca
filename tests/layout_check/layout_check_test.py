"""layout_check accepts a sound tree and finds each kind of breach in it."""

import importlib.machinery
import importlib.util
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parent / "layout_check"
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("layout_check", str(SCRIPT))
layout_check = importlib.util.module_from_spec(importlib.util.spec_from_loader("layout_check", loader))
loader.exec_module(layout_check)

SOUND = {
    "engine/types.hpp": "#include <string>\n#include <simdjson.h>\n",
    "storage/postgres/turn_store.cpp": '#include <pqxx/pqxx>\n#include "engine/types.hpp"\nauto name = "turn_claim";\n',
    "storage/postgres/internal/link.hpp": "",
    "storage/postgres/queries/turn_claim.sql": "SELECT 1;\n",
    "storage/postgres/migrations/0001_tables.up.sql": "",
    "storage/postgres/migrations/0001_tables.down.sql": "",
    "storage/postgres/CMakeLists.txt": "rowcall_library(x PRIVATE PkgConfig::pqxx)  # not CAF::core\n",
    "bus/nats_bus.cpp": '#include <nats/nats.h>\n#include "engine/types.hpp"\n',
    "client/follower.cpp": '#include "engine/types.hpp"\n',
    "actors/session_actor.cpp": '#include <caf/all.hpp>\n#include "engine/types.hpp"\n',
    "tools/rowcall/main.cpp": '#include "actors/session_actor.hpp"\n#include "bus/nats_bus.hpp"\n',
    "bench/storage/postgres/internal/link_bench.cpp": '#include <benchmark/benchmark.h>\n#include "storage/postgres/internal/link.hpp"\n',
    "tests/storage/postgres/link_pg_test.cpp": '#include <gtest/gtest.h>\n#include "storage/postgres/internal/link.hpp"\n',
}


class LayoutCheck(unittest.TestCase):
    def check(self, changes):
        with tempfile.TemporaryDirectory() as folder:
            for path, text in {**SOUND, **changes}.items():
                if text is None:
                    continue
                file = pathlib.Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            problems, warnings, _ = layout_check.check(pathlib.Path(folder))
            return problems, warnings

    def assert_sound(self, changes):
        problems, warnings = self.check(changes)
        self.assertEqual(problems, [])
        return warnings

    def assert_breach(self, changes, expected):
        problems, _ = self.check(changes)
        self.assertEqual(len(problems), 1, problems)
        self.assertIn(expected, problems[0])

    def test_a_sound_tree_passes(self):
        self.assert_sound({})

    def test_the_engine_includes_no_other_folder(self):
        for folder in ["storage", "bus", "client", "actors", "tools", "bench", "tests"]:
            self.assert_breach({"engine/a.hpp": f'#include "{folder}/x.hpp"\n'}, f"from engine/ to {folder}/")

    def test_the_client_includes_only_the_engine(self):
        self.assert_breach({"client/a.hpp": '#include "bus/nats_bus.hpp"\n'}, "from client/ to bus/")

    def test_adapters_do_not_include_each_other_or_the_actors(self):
        self.assert_breach({"storage/a.hpp": '#include "bus/x.hpp"\n'}, "from storage/ to bus/")
        self.assert_breach({"bus/a.hpp": '#include "actors/x.hpp"\n'}, "from bus/ to actors/")
        self.assert_breach({"actors/a.hpp": '#include "storage/x.hpp"\n'}, "from actors/ to storage/")

    def test_nothing_points_to_tools_bench_or_tests(self):
        self.assert_breach({"actors/a.hpp": '#include "tools/x.hpp"\n'}, "from actors/ to tools/")
        self.assert_breach({"tools/a.hpp": '#include "bench/x.hpp"\n'}, "from tools/ to bench/")
        self.assert_breach({"tools/a.hpp": '#include "tests/x.hpp"\n'}, "from tools/ to tests/")

    def test_includes_are_named_from_the_root(self):
        self.assert_breach({"bus/a.cpp": '#include "nats_bus.hpp"\n'}, "not named from the repository's root")

    def test_libraries_stay_in_their_folders(self):
        self.assert_breach({"storage/memory/a.cpp": "#include <pqxx/pqxx>\n"}, "libpqxx is used only in")
        self.assert_breach({"tools/a.cpp": "#include <nats/nats.h>\n"}, "nats.c is used only in")
        self.assert_breach({"engine/a.cpp": "#  include <caf/actor.hpp>\n"}, "CAF is used only in")
        self.assert_breach({"bus/a.cpp": "#include <simdjson.h>\n"}, "simdjson is used only in")

    def test_links_stay_in_their_folders(self):
        self.assert_breach({"bus/CMakeLists.txt": "target_link_libraries(x PRIVATE CAF::core)\n"}, "CAF is linked only in")

    def test_internal_headers_are_private(self):
        include = '#include "storage/postgres/internal/link.hpp"\n'
        self.assert_breach({"storage/memory/a.cpp": include}, "is private to storage/postgres/")
        self.assert_breach({"tests/actors/a.cpp": include}, "is private to storage/postgres/")

    def test_the_engine_is_pure(self):
        self.assert_breach({"engine/a.cpp": "#include <thread>\n"}, "no threads")
        self.assert_breach({"engine/a.cpp": "auto t = std::chrono::system_clock::now();\n"}, "no clock")
        self.assert_sound({"engine/a.cpp": "// not std::chrono::system_clock::now()\n"})

    def test_sql_files_are_used_and_numbered(self):
        self.assert_breach({"storage/postgres/queries/unused.sql": ""}, "no code uses it")
        self.assert_breach({"storage/postgres/migrations/0001_tables.down.sql": None}, "has only up")
        self.assert_breach({"storage/postgres/migrations/0003_x.up.sql": "", "storage/postgres/migrations/0003_x.down.sql": ""},
                           "0003_x where 0002 was expected")

    def test_long_files_are_told_and_pass(self):
        self.assertIn("bus/a.cpp: 601 lines", self.assert_sound({"bus/a.cpp": "\n" * 601})[0])

    def test_the_script_ends_with_1_for_a_folder_without_sources(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, SCRIPT, folder], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("no sources found", done.stdout)


if __name__ == "__main__":
    unittest.main()
