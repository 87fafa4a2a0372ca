"""The dashboard, the alert rules and the units of docs/operations have the form that Grafana, Prometheus and systemd load, and what
`cmake --install` installs of the documents has no link that leads nowhere.

That the metrics they name exist is checked with a running engine: tests/e2e/telemetry_e2e_test.cpp. Those of a gateway are the ones
that docs/gateway.md lists, which tests/gateway/api_test.py compares with a running gateway.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml

FOLDER = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "operations"
ALERTS = [FOLDER / "alerts.yml", FOLDER / "gateway-alerts.yml"]
UNITS = [FOLDER / "rowcall.service", FOLDER / "rowcall-gateway.service"]
METRIC = re.compile(r"\b(?:rowcall|process)_[a-z0-9_]+")


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
        self.files = {path.name: yaml.load(path.read_text(encoding="utf-8"), Loader=unique_keys) for path in ALERTS}

    def rules_of(self, name):
        return [rule for group in self.files[name]["groups"] for rule in group["rules"]]

    def test_have_the_form_of_a_rule_file(self):
        self.assertEqual({path.name for path in FOLDER.glob("*.yml")}, set(self.files))
        for file in self.files.values():
            self.assertEqual(set(file), {"groups"})
            for group in file["groups"]:
                self.assertEqual(set(group), {"name", "rules"})

    def test_each_has_a_name_an_expression_a_severity_and_says_what_it_means(self):
        rules = [rule for name in self.files for rule in self.rules_of(name)]
        names = [rule["alert"] for rule in rules]
        self.assertGreaterEqual(len(self.rules_of("alerts.yml")), 10)
        self.assertEqual(len(names), len(set(names)))
        for rule in rules:
            with self.subTest(rule["alert"]):
                self.assertLessEqual(set(rule), {"alert", "expr", "for", "labels", "annotations"})
                self.assertRegex(rule["alert"], r"^Rowcall[A-Za-z]+$")
                self.assertRegex(rule["expr"], METRIC)
                self.assertTrue(is_balanced(rule["expr"]), rule["expr"])
                self.assertRegex(rule.get("for", "0s"), r"^\d+[smh]$")
                self.assertIn(rule["labels"]["severity"], {"critical", "warning", "info"})
                self.assertEqual(set(rule["annotations"]), {"summary", "description"})

    def test_those_of_gateways_name_what_a_gateway_exposes_and_are_about_gateways(self):
        exposed = set(re.findall(r"`((?:rowcall_gateway|process)_\w+)`", (FOLDER.parent / "gateway.md").read_text(encoding="utf-8")))
        for rule in self.rules_of("gateway-alerts.yml"):
            with self.subTest(rule["alert"]):
                self.assertLessEqual(set(METRIC.findall(rule["expr"])), exposed)
                self.assertIn("rowcall_gateway_", rule["expr"])
        for rule in self.rules_of("alerts.yml"):
            self.assertNotIn("rowcall_gateway_", rule["expr"], rule["alert"])

    def test_no_gateway_and_one_that_is_not_ready_are_told(self):
        expressions = [rule["expr"] for rule in self.rules_of("gateway-alerts.yml")]
        self.assertIn("absent(rowcall_gateway_ready == 1)", expressions)
        self.assertIn("rowcall_gateway_ready == 0", expressions)

    def test_a_backlog_too_large_to_count_still_grows(self):
        rules = {rule["alert"]: rule for rule in self.rules_of("alerts.yml")}
        self.assertIn("rowcall_cluster_pending_is_exact) == 0", rules["RowcallBacklogGrows"]["expr"])


class promtool(unittest.TestCase):
    """Prometheus's own reader of rule files, where it is installed (Debian's package `prometheus`)."""

    PROGRAM = shutil.which("promtool")

    def check(self, file):
        return subprocess.run([self.PROGRAM, "check", "rules", "--lint-fatal", str(file)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=30)

    @unittest.skipUnless(PROGRAM, "promtool is not installed")
    def test_loads_the_rules_and_refuses_broken_ones(self):
        for path in ALERTS:
            with self.subTest(path.name):
                checked = self.check(path)
                self.assertEqual(checked.returncode, 0, checked.stdout)
                text = path.read_text(encoding="utf-8")
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


def settings_of(unit, section):
    """The lines of a section, without comments, as (name, value)."""
    lines = re.search(rf"^\[{section}\]\n(.*?)(?=^\[|\Z)", unit, re.MULTILINE | re.DOTALL)[1].splitlines()
    return [tuple(line.split("=", 1)) for line in lines if line and not line.startswith("#")]


class units(unittest.TestCase):
    # What a unit says about its program; all else keeps the program from harm and from doing any.
    OF_THE_PROGRAM = {"Type", "NotifyAccess", "TimeoutStartSec", "EnvironmentFile", "ExecStart"}

    def setUp(self):
        self.units = {path.name: path.read_text(encoding="utf-8") for path in UNITS}

    def test_are_all_there_are_and_have_the_form_of_one(self):
        self.assertEqual({path.name for path in FOLDER.glob("*.service")}, set(self.units))
        for name, unit in self.units.items():
            with self.subTest(name):
                self.assertEqual(re.findall(r"^\[.*", unit, re.MULTILINE), ["[Unit]", "[Service]", "[Install]"])
                for section in ("Unit", "Service", "Install"):
                    for setting in settings_of(unit, section):
                        self.assertEqual(len(setting), 2, setting)

    def test_start_their_program_however_often_it_ended(self):
        for name, command in (("rowcall.service", "serve"), ("rowcall-gateway.service", "gateway")):
            with self.subTest(name):
                self.assertIn(("StartLimitIntervalSec", "0"), settings_of(self.units[name], "Unit"))
                service = settings_of(self.units[name], "Service")
                self.assertIn(("ExecStart", f"/usr/local/bin/rowcall {command}"), service)
                self.assertIn(("Restart", "always"), service)
                self.assertIn(("RestartPreventExitStatus", "2"), service)

    def test_do_not_wait_for_a_notice_that_a_gateway_does_not_send(self):
        self.assertIn(("Type", "exec"), settings_of(self.units["rowcall-gateway.service"], "Service"))

    def test_are_hardened_alike(self):
        engine, gateway = ([s for s in settings_of(unit, "Service") if s[0] not in self.OF_THE_PROGRAM]
                           for unit in self.units.values())
        self.assertGreater(len(engine), 20)
        self.assertEqual(engine, gateway)


class systemd(unittest.TestCase):
    """systemd's own reader of units, where it is installed. It wants the program to be there: another one is put in its place."""

    PROGRAM = shutil.which("systemd-analyze")

    def verify(self, name, text):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            path.write_text(text.replace("=/usr/local/bin/rowcall ", f"={shutil.which('true')} "), encoding="utf-8")
            return subprocess.run([self.PROGRAM, "verify", "--man=no", str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, timeout=30)

    @unittest.skipUnless(PROGRAM, "systemd-analyze is not installed")
    def test_finds_nothing_wrong_with_the_units_and_something_with_a_broken_one(self):
        for path in UNITS:
            with self.subTest(path.name):
                text = path.read_text(encoding="utf-8")
                verified = self.verify(path.name, text)
                self.assertEqual((verified.returncode, verified.stdout), (0, ""))
                self.assertIn("NoNewPrivilege", self.verify(path.name, text.replace("NoNewPrivileges=", "NoNewPrivilege=")).stdout)


def anchors_of(text):
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class installed(unittest.TestCase):
    """What the component `documents` installs, from the build folder that ROWCALL_BUILD names."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        subprocess.run(["cmake", "--install", os.environ["ROWCALL_BUILD"], "--prefix", scratch.name, "--component", "documents"],
                       stdout=subprocess.DEVNULL, timeout=50, check=True, env={**os.environ, "DESTDIR": ""})
        self.documents = sorted(pathlib.Path(scratch.name).rglob("*.md"))

    def test_links_lead_to_what_is_installed(self):
        self.assertIn("operations.md", {document.name for document in self.documents})
        links = 0
        for document in self.documents:
            for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
                if re.match(r"[a-z]+:", link):
                    continue
                links += 1
                path, _, anchor = link.partition("#")
                with self.subTest(document.name, link=link):
                    target = (document.parent / path).resolve() if path else document
                    self.assertTrue(target.exists(), "is not installed")
                    if anchor:
                        self.assertIn(anchor, anchors_of(target.read_text(encoding="utf-8")))
        self.assertGreater(links, 10)

    def test_the_units_name_documents_that_are_there(self):
        names = {document.name for document in self.documents}
        for path in UNITS:
            named = re.search(r"^Documentation=file:/usr/local/share/doc/rowcall/(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            self.assertIn(named[1], names, path.name)


if __name__ == "__main__":
    unittest.main()
