"""The gateway's OpenAPI document, and what of it a test can hold an answer against."""

import functools
import json
import os
import re


class SchemaError(Exception):
    pass


class Document:
    TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}

    def __init__(self, text):
        self.root = json.loads(text)

    def resolve(self, node):
        while "$ref" in node:
            found = self.root
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def is_type(self, value, name):
        if name == "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        if name == "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        return isinstance(value, self.TYPES[name])

    def check(self, value, schema, path="$"):
        """Raises SchemaError. The part of JSON Schema that the document uses; anything else is an error of the test."""
        schema = self.resolve(schema)
        known = {"type", "required", "properties", "additionalProperties", "items", "enum", "pattern", "minimum", "minLength", "maxLength",
                 "minItems", "maxItems", "oneOf", "allOf"}
        unknown = set(schema) - known
        assert not unknown, f"{path}: the validator does not know {unknown}"
        fail = lambda why: (_ for _ in ()).throw(SchemaError(f"{path}: {why}: {value!r}"[:400]))
        if "oneOf" in schema:
            fitting = 0
            for one in schema["oneOf"]:
                try:
                    self.check(value, one, path)
                    fitting += 1
                except SchemaError:
                    pass
            if fitting != 1:
                fail(f"fits {fitting} of oneOf")
        for one in schema.get("allOf", ()):
            self.check(value, one, path)
        if "type" in schema:
            names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
            if not any(self.is_type(value, name) for name in names):
                fail(f"is no {names}")
        if "enum" in schema and value not in schema["enum"]:
            fail("is none of the enum")
        if isinstance(value, str):
            if "pattern" in schema and not re.search(schema["pattern"], value):
                fail("does not fit the pattern")
            if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 1 << 30):
                fail("length")
        if self.is_type(value, "number") and value < schema.get("minimum", value):
            fail("below the minimum")
        if isinstance(value, list):
            if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 1 << 30):
                fail("count of items")
            for index, item in enumerate(value):
                self.check(item, schema.get("items", {}), f"{path}[{index}]")
        if isinstance(value, dict):
            for name in schema.get("required", ()):
                if name not in value:
                    fail(f"{name} is missing")
            properties = schema.get("properties", {})
            for name, item in value.items():
                if name in properties:
                    self.check(item, properties[name], f"{path}.{name}")
                elif schema.get("additionalProperties") is False:
                    fail(f"{name} is not in the schema")
                else:
                    self.check(item, schema.get("additionalProperties", {}), f"{path}.{name}")

    def operations(self):
        for path, item in self.root["paths"].items():
            for method, operation in item.items():
                yield path, method.upper(), operation

    def operation_of(self, method, path):
        """What a request asks for; nothing when the document has no such path or method."""
        path = path.split("?")[0]
        for template, item in self.root["paths"].items():
            if re.fullmatch(re.escape(template).replace(r"\{session\}", "[^/]+"), path):
                return item.get({"HEAD": "get"}.get(method, method.lower()))
        return None

    def check_answer(self, operation, answer):
        """Only what the document names for this operation."""
        response = operation["responses"].get(str(answer.status))
        if response is None:
            raise SchemaError(f"{operation['operationId']}: {answer.status} is not documented: {answer.body[:200]!r}")
        self.check_response(operation["operationId"], response, answer)

    def check_refusal(self, method, path, answer):
        """Also what any request may get: the statuses that the text of the response `Refused` names."""
        operation = self.operation_of(method, path)
        anyone = self.root["components"]["responses"]["Refused"]
        response = operation["responses"].get(str(answer.status)) if operation else None
        if response is None:
            # A path of the document without the method, or none of its paths: 404 and 405 tell so.
            known = re.findall(r"\b[45]\d\d\b", anyone["description"]) + ([] if operation else ["404"])
            if str(answer.status) not in known:
                raise SchemaError(f"{method} {path}: {answer.status} is not documented: {answer.body[:200]!r}")
            response = operation["responses"]["default"] if operation else anyone
        if method == "HEAD":
            assert answer.body == b""
            return
        self.check_response(f"{method} {path}", response, answer)

    def check_response(self, what, response, answer):
        response = self.resolve(response)
        if answer.status == 204:
            assert answer.body == b""
            return
        media = answer.headers["Content-Type"].split(";")[0]
        if media not in response["content"]:
            raise SchemaError(f"{what}: {media} is not documented for {answer.status}")
        if media.endswith("json"):
            body = json.loads(answer.body)
            self.check(body, response["content"][media]["schema"])
            if media == "application/problem+json":
                assert body["status"] == answer.status

    def check_event(self, name, event_id, data):
        """One event of a stream; without a name it is a message."""
        event = {"event": name, **({} if event_id is None else {"id": event_id}), "data": data}
        self.check(event, {"$ref": "#/components/schemas/StreamEvent"})


@functools.cache
def own_document():
    """As it stands in the sources; that the gateway serves the same is a test of openapi_test.py."""
    with open(os.path.join(os.environ["ROWCALL_SOURCE_DIR"], "gateway", "openapi.json"), encoding="utf-8") as file:
        return Document(file.read())
