"""The served OpenAPI document against the real answers: what it promises holds, and what it forbids is refused with a status
and a body that it names. Negative cases are derived from the document's own schemas."""

import json
import re
import unittest
import urllib.parse

from document import Document, SchemaError, own_document
from world import Client, World, token_of


def values_against(document, schema):
    """Values that break the schema, each in one way."""
    schema = document.resolve(schema)
    if "oneOf" in schema:
        candidates = [v for one in schema["oneOf"] for v in values_against(document, one)]
        return [v for v in candidates if breaks(document, v, schema)]
    kind = schema.get("type")
    if kind == "string":
        found = ["", "x" * (schema.get("maxLength", 300) + 1), "with space", "a\u0000b", "☃", "../..", "%2e%2e", "a/b", "<script>", 5, True, [], {}]
    elif kind == "integer":
        found = [-1, "x", "", "1.5", "9" * 40, "0x10", " 1", "1;--", "NaN"]
    elif kind == "boolean":
        found = []
    elif kind == "array":
        found = [[], None, 5, "x"] + ([["x"] * (schema["maxItems"] + 1)] if "maxItems" in schema else [])
        found += [[v] for v in values_against(document, schema["items"])]
    elif kind == "object":
        found = [None, 5, "x", True]
        good = example(document, schema)
        for name in schema.get("required", ()):
            found.append({k: v for k, v in good.items() if k != name})
        for name, property_schema in schema.get("properties", {}).items():
            found += [{**good, name: v} for v in values_against(document, property_schema)]
        if schema.get("additionalProperties") is False:
            found.append({**good, "unknown": 1})
    else:
        found = []
    return [v for v in found if breaks(document, v, schema)]


def breaks(document, value, schema):
    try:
        document.check(value, schema)
        return False
    except SchemaError:
        return True


def example(document, schema):
    schema = document.resolve(schema)
    if "oneOf" in schema:
        return example(document, schema["oneOf"][0])
    if schema.get("type") == "object":
        return {name: example(document, schema["properties"][name]) for name in schema.get("required", ())}
    return {"string": "select_chat", "integer": 1, "array": [], "boolean": True}[schema["type"]]


class openapi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(gateway_arguments=["--commands-per-s", "100000", "--reads-per-s", "100000"])
        cls.client = cls.world.client("ann")
        cls.operator = Client(cls.world.address, token_of("ops", operator=True))
        cls.document = Document(cls.client.get("/openapi.json").body)
        cls.client.submit("user-ann", "select_chat", {"chat_id": "chat-x"})

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def client_for(self, path):
        return self.operator if path.startswith("/v1/operator/") else self.client

    def fill(self, path, session="user-ann"):
        return path.replace("{session}", urllib.parse.quote(session, safe=""))

    def test_it_is_served_as_it_stands_in_the_sources(self):
        self.assertEqual(self.document.root, own_document().root)

    def test_every_operation_says_what_any_request_may_get(self):
        for path, method, operation in self.document.operations():
            self.assertEqual(operation["responses"]["default"], {"$ref": "#/components/responses/Refused"}, (path, method))

    def test_every_path_of_the_document_exists_and_no_other_method_does(self):
        methods = {}
        for path, method, _ in self.document.operations():
            methods.setdefault(path, set()).add(method)
        for path, known in methods.items():
            allowed = self.client.request("OPTIONS", self.fill(path))
            self.assertEqual(allowed.status, 204, path)
            self.assertEqual(set(allowed.headers["Allow"].replace(" ", "").split(",")),
                             known | {"OPTIONS"} | ({"HEAD"} if "GET" in known else set()), path)
            for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - known:
                self.assertEqual(self.client.request(method, self.fill(path)).status, 405, (path, method))

    def test_good_requests_get_what_the_document_says(self):
        self.world.sql("INSERT INTO rowcall.dead_letters (session_id, command_seq, attempts, type, error, data)"
                       " SELECT 'user-ann', n, 3, 'select_chat', 'broken', '{}' FROM generate_series(91, 96) n")
        letter = lambda n: {"letters": [{"session": "user-ann", "command_seq": n}]}
        by_filter = {"filter": {"session": "user-ann", "error": "roke"}, "from": "9000000000000000:user-ann:1"}
        bodies = {
            "redriveDeadLetters": [letter(91), letter(77), by_filter],
            "dropDeadLetters": [letter(92), by_filter],
            "submitCommands": [{"type": "select_chat", "data": {"chat_id": "chat-y"}}, [{"type": "select_chat"}, {"type": "x"}]],
            "sendSignal": [{"type": "typing", "data": {"on": True}}],
            "developmentLogin": [{"name": "someone"}],
        }
        queries = {"submitCommands": ["", "?wait=10s"], "getUpdates": ["", "?after=0&limit=1", "?before=end", "?limit=5000"], "getChats": ["", "?limit=3"],
                   "getOverview": ["", "?after=1"], "getRanks": ["", "?order=stuck&limit=3", "?order=hottest"], "getOperatorLog": ["", "?after=0&limit=1", "?before=2"],
                   "getOperatorState": ["", "?seq=1", "?seq=0"], "getRetries": ["", "?session=user&after=user-a"],
                   "getDeadLetters": ["", "?resolved=true&limit=2", "?session=user&type=select_chat&error=broken"], "getDeadLetter": ["?session=user-ann&command_seq=91"]}
        for path, method, operation in self.document.operations():
            name = operation["operationId"]
            if name == "stream":
                continue  # never ends; see api_test.py
            for query in queries.get(name, [""]):
                for body in bodies.get(name, [None]):
                    answer = self.client_for(path).request(method, self.fill(path) + query, body=body)
                    self.assertLess(answer.status, 300, (name, answer.body))
                    self.document.check_answer(operation, answer)

    def test_streamed_updates_fit_the_schema(self):
        stream = self.client.stream("/v1/sessions/user-ann/updates?after=0")
        self.document.check(stream.updates(1)[0], {"$ref": "#/components/schemas/Update"})
        stream.close()

    def test_parameters_that_break_their_schema_are_refused(self):
        count = 0
        for path, method, operation in self.document.operations():
            if operation["operationId"] == "stream":
                continue
            for parameter in operation.get("parameters", ()):
                for value in values_against(self.document, parameter["schema"]):
                    if not isinstance(value, str):
                        if not breaks(self.document, json.dumps(value), parameter["schema"]):
                            continue  # as text it is fine
                        value = json.dumps(value)
                    target, headers = self.fill(path), {}
                    if parameter["in"] == "path":
                        if not value:
                            continue
                        target = self.fill(path, value)
                    elif parameter["in"] == "query":
                        if parameter["name"] == "heartbeat":
                            continue  # what is unknown is no heartbeat
                        target += "?" + urllib.parse.urlencode({parameter["name"]: value})
                        if value == "" and parameter["name"] in ("before", "after"):
                            continue
                    else:
                        if parameter["name"] == "Last-Event-ID":
                            headers["Accept"] = "text/event-stream"
                        if not value.isascii() or "\0" in value or not value.strip():
                            continue
                        headers[parameter["name"]] = value
                    body = {"type": "typing"} if method == "POST" else None
                    if parameter["in"] == "header" and re.fullmatch(r"\d{1,18}", value.strip()):
                        continue  # white space around a field's value does not count
                    answer = self.client_for(path).request(method, target, body=body, headers=headers)
                    with self.subTest(operation=operation["operationId"], parameter=parameter["name"], value=value[:60]):
                        self.assertIn(answer.status, (400, 404, 422), answer.body[:200])
                        self.document.check_answer(operation, answer)
                    count += 1
        self.assertGreater(count, 60)

    def test_bodies_that_break_their_schema_are_refused(self):
        count = 0
        before = self.world.sql("SELECT count(*) FROM rowcall.command_log")
        for path, method, operation in self.document.operations():
            if "requestBody" not in operation:
                continue
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            for value in values_against(self.document, schema):
                if operation["operationId"] == "developmentLogin" and count % 7:
                    count += 1
                    continue  # logins have a rate of their own
                answer = self.client_for(path).request(method, self.fill(path), body=json.dumps(value), headers={"Content-Type": "application/json"})
                with self.subTest(operation=operation["operationId"], value=json.dumps(value)[:80]):
                    self.assertIn(answer.status, (400, 413, 422), answer.body[:200])
                    self.document.check_answer(operation, answer)
                count += 1
            for text in ("", "{", "[1,", "\ufeff{}", "{} {}", "nul", '{"type": "x" "data": {}}', "\x00"):
                answer = self.client_for(path).request(method, self.fill(path), body=text.encode(), headers={"Content-Type": "application/json"})
                self.assertEqual(answer.status, 400, text)
                self.document.check_answer(operation, answer)
                count += 1
        self.assertGreater(count, 80)
        self.assertEqual(self.world.sql("SELECT count(*) FROM rowcall.command_log"), before)

    def test_without_a_token_only_what_needs_none_answers(self):
        stranger = Client(self.world.address)
        for path, method, operation in self.document.operations():
            needs_token = operation.get("security") != []
            answer = stranger.request(method, self.fill(path), body={} if method == "POST" else None)
            self.assertEqual(answer.status == 401, needs_token, (path, method, answer.status))
            self.document.check_answer(operation, answer)


if __name__ == "__main__":
    unittest.main(verbosity=2)
