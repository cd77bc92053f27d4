#!/usr/bin/python3
"""Writes docs/api/openapi.yaml: routes and members from the program's own tables, words and examples
from routes.yaml.

    docs/api/make.py [BELFRY]          prints it; BELFRY is build/belfry where absent
"""
import json
import pathlib
import subprocess
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
INT64 = {"type": "integer", "format": "int64"}
SIMPLE = {
    "text": {"type": "string"},
    "int": INT64,
    "int32": {"type": "integer", "format": "int32"},
    "double": {"type": "number"},
    "bool": {"type": "boolean"},
    "time": {"type": "string", "format": "date-time"},
}
# Members kept as JSON text whose own tables say what is in them.
TASKS = {("JobTask", "http"): "HttpTask", ("JobTask", "script"): "ScriptTask"}


def asked(belfry, option):
    return json.loads(subprocess.check_output([belfry, "routes", option]))


def nullable(schema):
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    kind = schema.get("type")
    if kind:
        return {**schema, "type": [kind, "null"]}
    return schema


class Schemas:
    """A table becomes NAME, what an answer holds, and NAMEInput, what a request may hold."""

    def __init__(self, tables):
        self.tables = tables
        self.done = {}

    def reference(self, table, is_input):
        name = table + "Input" if is_input and not table.endswith("Input") else table
        if name not in self.done:
            self.done[name] = None  # its place, before what it holds
            self.done[name] = self.table(table, is_input)
        return {"$ref": f"#/components/schemas/{name}"}

    def value(self, table, member, is_input):
        kind, bounded = member["type"], member["max"] > member["min"] or member["max"] > 0
        if (table, member["name"]) in TASKS:
            return self.reference(TASKS[table, member["name"]], is_input)
        if kind in ("object", "struct"):
            return self.reference(member["sub"], is_input)
        if kind == "any":
            return {}
        if kind == "enum":
            return {"type": "string", "enum": member["names"]}
        if kind == "map":
            return {"type": "object", "additionalProperties": {"type": "string"}}
        if kind == "array":
            items = self.reference(member["sub"], is_input) if member["sub"] else \
                dict(SIMPLE[member["element"]])
            schema = {"type": "array", "items": items}
            if is_input and bounded:
                schema.update({"minItems": member["min"]} if member["min"] else {},
                              maxItems=member["max"])
            return schema
        schema = dict(SIMPLE[kind])
        if is_input and bounded and kind == "text":
            schema.update({"minLength": member["min"]} if member["min"] else {},
                          maxLength=member["max"])
        elif is_input and bounded and kind in ("int", "int32"):
            schema.update(minimum=member["min"], maximum=member["max"])
        return schema

    def may_be_null(self, member, is_input):
        if is_input:
            return member.get("null_ok", False)
        return not member.get("omit_empty") and member["type"] in ("text", "time", "object", "any")

    def table(self, table, is_input):
        hidden = "out_only" if is_input else "in_only"
        members = [member for member in self.tables[table] if not member.get(hidden)]
        properties = {}
        for member in members:
            schema = self.value(table, member, is_input)
            if self.may_be_null(member, is_input):
                schema = nullable(schema)
            if member["about"]:
                schema = {**schema, "description": member["about"]}
            properties[member["name"]] = schema
        required = [member["name"] for member in members
                    if (member.get("required") if is_input else not member.get("omit_empty"))]
        return {"type": "object", "additionalProperties": False, "properties": properties,
                **({"required": required} if required else {})}


def parameters(route, words, common):
    for part in route["path"].split("/"):
        if part.startswith("{"):
            name = part[1:-1]
            yield {"name": name, "in": "path", "required": True,
                   "schema": {"type": "string"} if name == "name" else INT64}
    for name in route["query"]:
        about = {**common[name], **words.get("query", {}).get(name, {})}
        entry = {"name": name, "in": "query", "description": about["about"],
                 "schema": about.get("schema", {"type": "string"})}
        if "example" in about:
            entry["example"] = about["example"]
        yield entry
    if words.get("needs_if_match"):
        yield {"name": "If-Match", "in": "header", "required": True, "schema": {"type": "string"},
               "description": "the ETag of the job as it was read", "example": '"1"'}
    if route["stream"]:
        yield {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"},
               "description": "go on behind the line that had this id"}


def problem(about):
    return {"description": about, "content": {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def success(route, words, schemas):
    answer = {"description": "done" if not route["answer"] else route["answer"]}
    if route["stream"]:
        answer["description"] = "events"
        answer["content"] = {"text/event-stream": {"schema": {"type": "string"}}}
        schemas.reference("LogLine", False)
    elif route["answer"]:
        schema = schemas.reference(route["answer"], False)
        if words.get("list"):
            answer["description"] = "one page"
            schema = {"type": "object", "additionalProperties": False,
                      "required": ["items", "next_cursor"],
                      "properties": {"items": {"type": "array", "items": schema},
                                     "next_cursor": {"type": ["string", "null"]}}}
        answer["content"] = {"application/json": {"schema": schema}}
    if "headers" in words:
        answer["headers"] = {name: {"description": about, "schema": {"type": "string"}}
                             for name, about in words["headers"].items()}
    return answer


def body(route, words, schemas):
    examples = {name: {"value": value} for name, value in words["examples"].items()}
    return {"required": True, "content": {"application/json": {
        "schema": schemas.reference(route["body"], True), "examples": examples}}}


def responses(route, words, schemas):
    found = {str(words.get("status", 200)): success(route, words, schemas)}
    for status, about in words.get("also", {}).items():
        other = {} if status == 204 else success(route, words, schemas)
        found[str(status)] = {**other, "description": about}
    refused = {}
    for name, example in words.get("refused", {}).items():
        refused.setdefault(example["status"], []).append(name)
    for status, names in refused.items():
        found[str(status)] = problem("refused: " + ", ".join(names))
    if "missing" in words:
        found.setdefault("404", problem("there is none"))
    found["default"] = problem("refused")
    return dict(sorted(found.items()))


def operation(route, words, common, schemas):
    found = {"tags": [route["service"]], "summary": words["summary"],
             "operationId": f"{route['method']} {route['path']}"}
    if "about" in words:
        found["description"] = words["about"]
    found["x-permission"] = route["permission"]
    if route["why_public"]:
        found["x-why-public"] = route["why_public"]
    if route["permission"] == "public":
        found["security"] = []
    listed = list(parameters(route, words, common))
    if listed:
        found["parameters"] = listed
    if route["body"]:
        found["requestBody"] = body(route, words, schemas)
    found["responses"] = responses(route, words, schemas)
    return found


def problem_schema():
    codes = "invalid not_found conflict precondition_failed unauthenticated forbidden throttled " \
        "too_large method_not_allowed unsupported_media_type setup_required unavailable timeout " \
        "storage_full io internal"
    return {"type": "object", "additionalProperties": False,
            "required": ["title", "status", "code", "detail"],
            "properties": {
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "code": {"type": "string", "enum": codes.split()},
                "detail": {"type": "string", "description": "in the reader's language"},
                "path": {"type": "string", "description": "of the member, as in tasks[2].url"},
                "field": {"type": "integer", "description": "of a cron expression, from 1"},
                "pos": {"type": "integer", "description": "code points from 1"},
                "request_id": {"type": "string"}}}


def gateway_operation(path, words):
    found = {"tags": ["gateway"], "summary": words["summary"], "operationId": f"GET {path}",
             "x-permission": "public", "security": [],
             "responses": {"200": {"description": "yes"}}}
    if "refused_status" in words:
        found["responses"][str(words["refused_status"])] = {"description": "not now"}
    return found


def document(belfry):
    words = yaml.safe_load((HERE / "routes.yaml").read_text())
    schemas = Schemas(asked(belfry, "--tables"))
    paths = {}
    for key, about in words["gateway"].items():
        path = key.split()[1]
        paths.setdefault(path, {})["get"] = gateway_operation(path, about)
    for route in asked(belfry, "--json"):
        about = words["routes"].get(f"{route['method']} {route['path']}")
        assert about, f"routes.yaml says nothing about {route['method']} {route['path']}"
        paths.setdefault(route["path"], {})[route["method"].lower()] = operation(
            route, about, words["query"], schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Belfry", "version": "1", "description": words["info"],
                 "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "servers": [{"url": "http://127.0.0.1:8680"}],
        "security": [{"key": []}, {"session": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "belfry",
                            "description": "over TLS __Host-belfry"}},
            "schemas": dict(sorted({**schemas.done, "Problem": problem_schema()}.items()))},
    }


class Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True

    def represent_text(self, text):
        return self.represent_scalar("tag:yaml.org,2002:str", text,
                                     style="|" if "\n" in text else None)


Dumper.add_representer(str, Dumper.represent_text)


def text(belfry):
    return "# Made by docs/api/make.py; the words and examples are in routes.yaml.\n" + yaml.dump(
        document(belfry), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110)


if __name__ == "__main__":
    sys.stdout.write(text(sys.argv[1] if len(sys.argv) > 1 else TOP / "build" / "belfry"))
