"""docs/api/openapi.yaml against the running server: every example is sent, every answer checked."""
import json
import subprocess
import sys

import jsonschema
import pytest
import yaml

from belfry import BINARY, PASSWORD, TOP, Belfry, http_call, wait_for

FILE = TOP / "docs/api/openapi.yaml"
DOCUMENT = yaml.safe_load(FILE.read_text())
WORDS = yaml.safe_load((TOP / "docs/api/routes.yaml").read_text())
OPERATIONS = {f"{method.upper()} {path}": operation
              for path, methods in DOCUMENT["paths"].items()
              for method, operation in methods.items()}
ROUTES = [key for key in OPERATIONS if key.split()[1].startswith("/api/")]


# --- the file itself ----------------------------------------------------------------------------

def test_file_is_what_the_program_makes_of_its_tables():
    made = subprocess.run([sys.executable, TOP / "docs/api/make.py", BINARY], capture_output=True,
                          text=True, check=True).stdout
    assert made == FILE.read_text(), "docs/api/make.py > docs/api/openapi.yaml"


def test_routes_of_program_and_file_are_the_same():
    routes = json.loads(subprocess.check_output([BINARY, "routes", "--json"]))
    assert sorted(f"{route['method']} {route['path']}" for route in routes) == sorted(ROUTES)
    for route in routes:
        operation = OPERATIONS[f"{route['method']} {route['path']}"]
        assert operation["x-permission"] == route["permission"]
        assert {p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"} == \
            set(route["query"])


def test_nothing_is_said_about_routes_that_do_not_exist():
    assert sorted(WORDS["routes"]) == sorted(ROUTES)


def test_schemas_are_valid_and_all_in_use():
    text = FILE.read_text()
    for name, schema in DOCUMENT["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert f"#/components/schemas/{name}'" in text or name == "LogLine", name


def schema_check(schema, value):
    resolver = jsonschema.RefResolver.from_schema(DOCUMENT)
    jsonschema.Draft202012Validator(schema, resolver=resolver).validate(value)


@pytest.mark.parametrize("key", [key for key in ROUTES if "requestBody" in OPERATIONS[key]])
def test_examples_are_valid_by_their_own_schema(key):
    content = OPERATIONS[key]["requestBody"]["content"]["application/json"]
    assert content["examples"]
    for example in content["examples"].values():
        schema_check(content["schema"], example["value"])


# --- the server ---------------------------------------------------------------------------------

def answer_check(operation, answer, status):
    """status None: whatever the file knows."""
    if status is not None:
        assert answer.status == status, answer
    response = operation["responses"].get(str(answer.status)) or operation["responses"]["default"]
    content = response.get("content")
    kind = (answer.headers.get("Content-Type") or "").split(";")[0]
    if not content:
        assert answer.body == b"", answer
        return
    assert kind in content, answer
    if kind.endswith("json"):
        schema_check(content[kind]["schema"], answer.json)
    for name in response.get("headers", ()):
        assert answer.headers.get(name), name


class Place:
    """A server, and for each example a fresh object for it to work on."""

    def __init__(self, belfry):
        self.belfry = belfry
        self.number = 0

    def fresh(self, word):
        self.number += 1
        return f"{word}-{self.number}"

    def job(self, **members):
        return self.belfry.job(self.fresh("job"), members.pop("task", {
            "script": {"interpreter": "sh", "script": "echo hello; echo world"}}), **members)

    def run(self):
        run_id = self.belfry.run(self.job())
        self.belfry.wait_run(run_id)
        return run_id

    def running(self):
        run_id = self.belfry.run(self.job(task={
            "script": {"interpreter": "sh", "script": "exec tail -f /dev/null"}}))
        self.belfry.wait_run(run_id, ("RUNNING",))
        return run_id

    def user(self):
        body = {"name": self.fresh("user"), "password": PASSWORD}
        return self.belfry.api("POST", "/api/v1/users", body, expect=201).json["id"]

    def key(self):
        return self.belfry.api("POST", "/api/v1/keys", {"name": self.fresh("key")},
                               expect=201).json["id"]

    def session(self):
        """A user's own session: (headers, id)."""
        name = self.fresh("person")
        self.belfry.api("POST", "/api/v1/users", {"name": name, "password": PASSWORD}, expect=201)
        headers = self.belfry.sign_in(name)
        mine = self.belfry.api("GET", "/api/v1/sessions", key=None, headers=headers).json["items"]
        return headers, mine[0]["id"]

    def group(self):
        name = self.fresh("group")
        self.belfry.api("POST", "/api/v1/groups", {"name": name}, expect=201)
        return name

    def call(self, key, body=None, object_id=None, query=""):
        """Sends one request of the route; returns its answer."""
        words, (method, path) = WORDS["routes"][key], key.split()
        headers, use_key = {}, "own"
        if words.get("with") == "session":
            headers, session_id = self.session()
            use_key = None
        elif words.get("with") == "nothing":
            use_key = None
        if "{" in path:
            object_id = object_id or (session_id if "/sessions/" in path else self.object(path, words))
            path = path.replace("{id}", str(object_id)).replace("{name}", str(object_id))
        if words.get("needs_if_match"):
            headers["If-Match"] = '"1"'
        return self.belfry.api(method, path + query, body, key=use_key, headers=headers)

    def object(self, path, words):
        kind = words.get("path") or path.split("/")[3]
        return {"jobs": lambda: self.job()["id"], "runs": self.run, "running": self.running,
                "users": self.user, "keys": self.key, "groups": self.group}[kind]()


@pytest.fixture(scope="module")
def place(belfry):
    return Place(belfry)


def routes_with(part):
    return [(key, name) for key in ROUTES for name in WORDS["routes"][key].get(part, ())
            if WORDS["routes"][key].get("with") != "setup"]


@pytest.mark.parametrize("key, name", routes_with("examples"))
def test_example(place, key, name):
    words = WORDS["routes"][key]
    body = words["examples"][name]
    answer_check(OPERATIONS[key], place.call(key, body), words.get("status", 200))


@pytest.mark.parametrize("key, name", routes_with("refused"))
def test_refused_example(place, key, name):
    example = WORDS["routes"][key]["refused"][name]
    answer = place.call(key, example["body"])
    answer_check(OPERATIONS[key], answer, example["status"])
    assert answer.json["code"] == example["code"]
    assert answer.json.get("path") == example.get("path")


@pytest.mark.parametrize("key", [key for key in ROUTES if "requestBody" not in OPERATIONS[key]
                                 and WORDS["routes"][key].get("with") != "setup"
                                 and not WORDS["routes"][key].get("only_missing")])
def test_route_without_body(place, key):
    words = WORDS["routes"][key]
    answer = place.call(key)
    answer_check(OPERATIONS[key], answer, words.get("status", 200))


@pytest.mark.parametrize("key, name", [
    (key, parameter["name"]) for key in ROUTES for parameter in OPERATIONS[key].get("parameters", ())
    if parameter["in"] == "query" and "example" in parameter])
def test_query_parameter(place, key, name):
    parameter = [p for p in OPERATIONS[key]["parameters"] if p["name"] == name][0]
    value = parameter["example"]
    text = str(value).lower() if isinstance(value, bool) else str(value).replace("+", "%2B")
    answer_check(OPERATIONS[key], place.call(key, query=f"?{name}={text}"),
                 WORDS["routes"][key].get("status", 200))


@pytest.mark.parametrize("key", [key for key in ROUTES if "missing" in WORDS["routes"][key]])
def test_object_that_is_not_there(place, key):
    answer = place.call(key, object_id=WORDS["routes"][key]["missing"])
    answer_check(OPERATIONS[key], answer, 404)
    assert answer.json["code"] == "not_found"


@pytest.mark.parametrize("key", [key for key in ROUTES if key.startswith("GET")
                                 and WORDS["routes"][key].get("with") != "setup"])
def test_unknown_query_parameter_is_refused(place, key):
    answer = place.call(key, query="?colour=red")
    answer_check(OPERATIONS[key], answer, 400)
    assert answer.json["path"] == "query.colour"


@pytest.mark.parametrize("key", [key for key in ROUTES
                                 if OPERATIONS[key]["x-permission"] != "public"])
def test_nobody_gets_in_without_a_key(place, key):
    method, path = key.split()
    answer = place.belfry.api(method, path.replace("{id}", "1").replace("{name}", "x"), key=None)
    answer_check(OPERATIONS[key], answer, 401)


def test_lists_page_by_page(place):
    for _ in range(5):
        place.job(tags=["paged"])
    whole = place.belfry.api("GET", "/api/v1/jobs?tag=paged", expect=200).json["items"]
    pages = place.belfry.items("/api/v1/jobs?tag=paged", limit=2)
    assert len(whole) >= 5 and pages == whole


def test_etag_guards_a_change(place):
    job = place.job()
    path, body = f"/api/v1/jobs/{job['id']}", {
        "name": job["name"], "schedule": {"manual": {}},
        "task": {"script": {"interpreter": "sh", "script": "true"}}}
    assert place.belfry.api("GET", path).headers["ETag"] == '"1"'
    without = place.belfry.api("PUT", path, body)
    answer_check(OPERATIONS["PUT /api/v1/jobs/{id}"], without, None)
    assert without.status in (412, 428)
    changed = place.belfry.api("PUT", path, body, headers={"If-Match": '"1"'}, expect=200)
    assert changed.headers["ETag"] == '"2"'
    stale = place.belfry.api("PUT", path, body, headers={"If-Match": '"1"'})
    assert stale.status == 412 and stale.json["code"] == "precondition_failed"


def test_other_answers_that_are_no_refusal(place):
    job, body = place.job(), {"request_id": "once"}
    trigger = "POST /api/v1/jobs/{id}/run"
    first = place.call(trigger, body, object_id=job["id"])
    again = place.call(trigger, body, object_id=job["id"])
    answer_check(OPERATIONS[trigger], first, 201)
    answer_check(OPERATIONS[trigger], again, 200)
    assert again.json["id"] == first.json["id"]
    name = place.fresh("keyed")
    place.belfry.api("POST", "/api/v1/users", {"name": name, "password": PASSWORD}, expect=201)
    changed = place.belfry.api("PUT", "/api/v1/password", {
        "current": PASSWORD, "password": "another long passphrase"},
        key=place.belfry.new_key(name, PASSWORD))
    answer_check(OPERATIONS["PUT /api/v1/password"], changed, 204)


def test_events_of_a_log(place):
    run_id = place.run()
    answer = place.call("GET /api/v1/runs/{id}/log/stream", object_id=run_id)
    assert answer.status == 200
    events = [dict(line.split(": ", 1) for line in event.splitlines() if ": " in line)
              for event in answer.text.split("\n\n") if event.strip()]
    lines = [event for event in events if event.get("event") == "line"]
    for event in lines:
        schema_check(DOCUMENT["components"]["schemas"]["LogLine"], json.loads(event["data"]))
        assert event["id"]
    assert [json.loads(event["data"])["text"] for event in lines] == ["hello", "world"]
    assert events[-1]["event"] == "end"
    resumed = place.belfry.api("GET", f"/api/v1/runs/{run_id}/log/stream",
                               headers={"Last-Event-ID": lines[0]["id"]}).text
    assert "world" in resumed and "hello" not in resumed


def test_gateway_answers_about_itself(place):
    for key in WORDS["gateway"]:
        assert http_call(place.belfry.port, "GET", key.split()[1]).status == 200


# --- first start --------------------------------------------------------------------------------

def test_setup_examples():
    with Belfry(set_up=False) as belfry:
        state, setup = OPERATIONS["GET /api/v1/setup"], OPERATIONS["POST /api/v1/setup"]
        words = WORDS["routes"]["POST /api/v1/setup"]
        code = belfry.setup_code()
        answer = belfry.api("GET", "/api/v1/setup", expect=200)
        answer_check(state, answer, 200)
        assert answer.json == {"complete": False}
        refused = belfry.api("GET", "/api/v1/jobs")
        assert refused.status == 503 and refused.json["code"] == "setup_required"

        def send(body):
            """Waits out the throttle, as its answer says."""
            body = {**body, "code": body["code"].replace("XXXX-XXXX-XXXX", code)}
            return wait_for(lambda: (lambda answer: answer if answer.status != 429 else None)(
                belfry.api("POST", "/api/v1/setup", body)), "an answer that is not 429")

        for example in words["refused"].values():
            answer = send(example["body"])
            answer_check(setup, answer, example["status"])
            assert answer.json["path"] == example["path"]
        answer_check(setup, send(words["examples"]["first"]), 201)
        assert belfry.api("GET", "/api/v1/setup", expect=200).json == {"complete": True}
        assert send(words["examples"]["first"]).status == 409
