"""Every route of every service times every role, from the route table itself."""
import re

import pytest

from belfry import Belfry, PASSWORD, http_call

ROLES = ["nobody", "none", "viewer", "operator", "developer", "group administrator",
         "administrator"]
LEAST = {"public": 0, "signed-in": 1, "view": 2, "operate": 3, "develop": 4, "administer": 6}


@pytest.fixture(scope="module")
def server():
    with Belfry() as belfry:
        belfry.keys = {"nobody": None, "administrator": belfry.key}
        for role in ROLES[1:-1]:
            name = role.replace(" ", ".")
            grants = [] if role == "none" else [
                {"group": "default", "role": role.removeprefix("group ")}]
            belfry.api("POST", "/api/v1/users",
                       {"name": name, "password": PASSWORD, "grants": grants}, expect=201)
            belfry.keys[role] = belfry.new_key(name)
        yield belfry


def refusal(answer):
    """"401", "403 by role", or None."""
    if answer.status == 401:
        return "401"
    if answer.status == 403 and answer.json["detail"] == "your role does not allow this":
        return "403"
    return None


def test_every_route_times_every_role(server):
    routes = server.cli("routes", "--json", check=True).json
    assert len(routes) > 20
    wrong = []
    for route in routes:
        # an id that is nowhere: what may pass ends in 404 or 400 and changes nothing
        path = re.sub(r"{[^}]*}", "999999999", route["path"])
        for rank, role in enumerate(ROLES):
            body = {} if route["body"] else None
            got = refusal(server.api(route["method"], path, body, key=server.keys[role]))
            if route["path"] == "/api/v1/session" and route["method"] == "POST":
                want = None
            elif rank >= LEAST[route["permission"]]:
                want = None
            else:
                want = "401" if role == "nobody" else "403"
            if got != want:
                wrong.append((route["method"], route["path"], role, got, want))
    assert not wrong


def test_public_routes_say_why(server):
    for route in server.cli("routes", "--json", check=True).json:
        assert (route["permission"] == "public") == bool(route["why_public"]), route
        assert route["permission"] != "none", route


def test_unknown_paths_are_told_to_the_signed_in_only(server):
    assert server.api("GET", "/api/v1/nothing", key=None).status == 401
    assert server.api("GET", "/api/v1/nothing", key=server.keys["none"]).status == 404
    assert server.api("PUT", "/api/v1/users", {}, key=None).status == 401
    wrong_method = server.api("PUT", "/api/v1/users", {}, key=server.keys["none"])
    assert wrong_method.status == 405
    assert wrong_method.headers["Allow"] == "GET, HEAD, POST"


def test_one_path_has_one_spelling_of_rights(server):
    """Whatever path is sent, it is never a way around the table."""
    for path in ("/api/v1//users", "/api/v1/./users", "/api/v1/x/../users", "/api/v1/%75sers",
                 "/api/v1/users/", "/api/v1/users;x", "/API/v1/users", "/api/v1/users%2f",
                 "/api/v1/users%00", "/api/v1/..%2fv1/users", "/api/v1/session/../users",
                 "/api/v1/setup/../users", "/api/v1/users?x", "/api/v1/users%3fx"):
        for key in (None, server.keys["viewer"]):
            answer = server.api("GET", path, key=key)
            assert answer.status in (400, 401, 403, 404), (path, answer)


def test_last_administrator_stays(server):
    admin = server.api("GET", "/api/v1/users?name=admin", expect=200).json["items"][0]
    path = f"/api/v1/users/{admin['id']}"
    less = {"grants": [{"group": "*", "role": "developer"}]}
    assert server.api("DELETE", path).status == 409
    assert server.api("PATCH", path, {"disabled": True}).status == 409
    assert server.api("PUT", path + "/grants", less).status == 409
    assert server.api("PUT", path + "/grants", {"grants": []}).status == 409
    # an administrator of one group does not count
    only = {"grants": [{"group": "default", "role": "administrator"}]}
    assert server.api("PUT", path + "/grants", only).status == 409
    assert server.api("GET", path, expect=200).json == admin, "nothing of it was stored"
    second = server.api("POST", "/api/v1/users",
                        {"name": "second", "password": PASSWORD,
                         "grants": [{"group": "*", "role": "administrator"}]}, expect=201).json
    other = f"/api/v1/users/{second['id']}"
    server.api("PATCH", other, {"disabled": True}, expect=200)
    assert server.api("DELETE", path).status == 409, "who is disabled does not count"
    server.api("PATCH", other, {"disabled": False}, expect=200)
    server.api("PUT", path + "/grants", less, expect=200)
    assert server.api("GET", "/api/v1/users").status == 403
    key = server.new_key("second")
    server.api("PUT", path + "/grants", {"grants": admin["grants"]}, key=key, expect=200)
    server.api("DELETE", other, expect=204)


def test_health_is_for_everybody(server):
    for path in ("/healthz", "/readyz"):
        assert http_call(server.port, "GET", path).status == 200
        assert http_call(server.port, "HEAD", path).body == b""
    assert http_call(server.port, "GET", "/metrics").status == 404
