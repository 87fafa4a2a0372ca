"""The dashboard and the alert rules of docs/operations have the form that Grafana and Prometheus load.

That the metrics they name exist is checked with a running engine: tests/e2e/telemetry_e2e_test.cpp.
"""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml

FOLDER = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "operations"
METRIC = re.compile(r"\b(rowcall|process)_[a-z0-9_]+")


class unique_keys(yaml.SafeLoader):
    """A key that comes twice in a mapping would silently hide the first."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        if len(keys) != len(set(keys)):
            raise yaml.constructor.ConstructorError(None, None, f"a key comes twice: {keys}", node.start_mark)
        return super().construct_mapping(node, deep)


def is_balanced(expression):
    """Brackets match, outside of strings."""
    closing = {")": "(", "]": "[", "}": "{"}
    stack = []
    for c in re.sub(r'"[^"]*"', '""', expression):
        if c in closing.values():
            stack.append(c)
        elif c in closing and (not stack or stack.pop() != closing[c]):
            return False
    return not stack


class alerts(unittest.TestCase):
    def setUp(self):
        self.file = yaml.load((FOLDER / "alerts.yml").read_text(encoding="utf-8"), Loader=unique_keys)

    def test_have_the_form_of_a_rule_file(self):
        self.assertEqual(set(self.file), {"groups"})
        for group in self.file["groups"]:
            self.assertEqual(set(group), {"name", "rules"})

    def test_each_has_a_name_an_expression_a_severity_and_says_what_it_means(self):
        names = [rule["alert"] for group in self.file["groups"] for rule in group["rules"]]
        self.assertGreaterEqual(len(names), 10)
        self.assertEqual(len(names), len(set(names)))
        for group in self.file["groups"]:
            for rule in group["rules"]:
                with self.subTest(rule["alert"]):
                    self.assertLessEqual(set(rule), {"alert", "expr", "for", "labels", "annotations"})
                    self.assertRegex(rule["alert"], r"^Rowcall[A-Za-z]+$")
                    self.assertRegex(rule["expr"], METRIC)
                    self.assertTrue(is_balanced(rule["expr"]), rule["expr"])
                    self.assertRegex(rule.get("for", "0s"), r"^\d+[smh]$")
                    self.assertIn(rule["labels"]["severity"], {"critical", "warning", "info"})
                    self.assertEqual(set(rule["annotations"]), {"summary", "description"})


    def test_a_backlog_too_large_to_count_still_grows(self):
        rules = {rule["alert"]: rule for group in self.file["groups"] for rule in group["rules"]}
        self.assertIn("rowcall_cluster_pending_is_exact) == 0", rules["RowcallBacklogGrows"]["expr"])


class promtool(unittest.TestCase):
    """Prometheus's own reader of rule files, where it is installed (Debian's package `prometheus`)."""

    PROGRAM = shutil.which("promtool")

    def check(self, file):
        return subprocess.run([self.PROGRAM, "check", "rules", "--lint-fatal", str(file)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=30)

    @unittest.skipUnless(PROGRAM, "promtool is not installed")
    def test_loads_the_rules_and_refuses_broken_ones(self):
        checked = self.check(FOLDER / "alerts.yml")
        self.assertEqual(checked.returncode, 0, checked.stdout)
        text = (FOLDER / "alerts.yml").read_text(encoding="utf-8")
        self.assertRegex(checked.stdout, rf"\b{text.count('- alert:')} rules found")
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as broken:
            broken.write(text.replace("sum(", "sun(", 1) if "sum(" in text else text.replace("expr: ", "expr: )", 1))
            broken.flush()
            self.assertNotEqual(self.check(broken.name).returncode, 0)


class dashboard(unittest.TestCase):
    def setUp(self):
        self.dashboard = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
        self.panels = [p for p in self.dashboard["panels"] if p["type"] != "row"]

    def test_can_be_imported_anywhere(self):
        self.assertEqual(self.dashboard["uid"], "rowcall")
        variables = {v["name"] for v in self.dashboard["templating"]["list"]}
        self.assertEqual(variables, {"datasource", "job", "instance"})
        for panel in self.panels:
            self.assertEqual(panel["datasource"], {"type": "prometheus", "uid": "${datasource}"}, panel["title"])

    def test_panels_do_not_overlap_and_have_ids_of_their_own(self):
        ids = [p["id"] for p in self.dashboard["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        taken = {}
        for p in self.dashboard["panels"]:
            g = p["gridPos"]
            self.assertLessEqual(g["x"] + g["w"], 24, p["title"])
            for x in range(g["x"], g["x"] + g["w"]):
                for y in range(g["y"], g["y"] + g["h"]):
                    self.assertNotIn((x, y), taken, f'{p["title"]} covers {taken.get((x, y))}')
                    taken[x, y] = p["title"]

    def test_every_expression_names_a_metric_and_only_variables_that_there_are(self):
        for panel in self.panels:
            self.assertTrue(panel["targets"], panel["title"])
            for target in panel["targets"]:
                with self.subTest(panel["title"], expr=target["expr"]):
                    self.assertRegex(target["expr"], METRIC)
                    self.assertTrue(is_balanced(target["expr"]))
                    self.assertLessEqual(set(re.findall(r"\$(\w+)", target["expr"])), {"job", "instance", "__rate_interval"})


if __name__ == "__main__":
    unittest.main()
