"""The module that the README shows is examples/counter, in one file and without its namespace: so what is shown compiles."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COUNTER = ROOT / "examples" / "counter"


def shown():
    """The README's block of C++ that defines a module."""
    blocks = re.findall(r"^```cpp\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    [block] = [b for b in blocks if "struct counter" in b]
    return block


def sources():
    """The example's two files as one: without the header's guard, its namespace, and the comments that introduce each."""
    text = "".join((COUNTER / name).read_text(encoding="utf-8") for name in ("counter.hpp", "main.cpp"))
    text = re.sub(r'^(#pragma once|#include "examples/.*"|namespace example \{|\}  // namespace example|/// .*)\n', "", text,
                  flags=re.MULTILINE)
    return text.replace("example::", "")


def parts(text):
    """The headers, whose order means nothing, and all other lines that are not empty."""
    lines = [line for line in text.splitlines() if line]
    return {line for line in lines if line.startswith("#")}, [line for line in lines if not line.startswith("#")]


class Readme(unittest.TestCase):
    maxDiff = None

    def test_shows_the_counter_as_it_is(self):
        shown_headers, shown_lines = parts(shown())
        headers, lines = parts(sources())
        self.assertEqual(shown_headers, headers)
        self.assertEqual(shown_lines, lines)
        self.assertGreater(len(lines), 20)


if __name__ == "__main__":
    unittest.main()
