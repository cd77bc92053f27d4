"""The same on SQLite, PostgreSQL and MariaDB, and what only a race can show."""
import concurrent.futures

import pytest

from belfry import Belfry, PASSWORD
from servers import Servers

ADMINISTRATOR = [{"group": "*", "role": "administrator"}]


@pytest.fixture(scope="module", params=["sqlite", "postgres", "mysql"])
def server(request):
    if request.param == "sqlite":
        with Belfry() as belfry:
            yield belfry
        return
    with Servers(request.param) as servers:
        settings = {"store.url": servers.fresh_database("auth")[request.param],
                    "store.password": getattr(servers, request.param).password}
        with Belfry(settings=settings) as belfry:
            yield belfry


def new_user(server, name, grants=()):
    return server.api("POST", "/api/v1/users",
                      {"name": name, "password": PASSWORD, "grants": list(grants)},
                      expect=201).json


def test_users_keys_sessions_audit(server):
    user = new_user(server, "小王", [{"group": "default", "role": "developer"}])
    path = f"/api/v1/users/{user['id']}"
    assert server.api("POST", "/api/v1/users", {"name": "小王", "password": PASSWORD}).status == 409
    changed = server.api("PATCH", path, {"display_name": "王 😀"}, expect=200).json
    assert changed["display_name"] == "王 😀"
    session = server.sign_in("小王")
    made = server.api("POST", "/api/v1/keys", {"name": "ci"}, key=None, headers=session,
                      expect=201).json
    rotated = server.api("POST", f"/api/v1/keys/{made['id']}/rotate", {}, key=None,
                         headers=session, expect=200).json
    for key in (made["key"], rotated["key"]):
        assert server.api("GET", "/api/v1/session", key=key, expect=200).json["user"] == "小王"
    assert len(server.api("GET", "/api/v1/sessions", key=None, headers=session).json["items"]) == 1
    server.api("PUT", path + "/grants", {"grants": []}, expect=200)
    assert server.api("GET", "/api/v1/session", key=made["key"]).json["grants"] == []
    server.api("PUT", path + "/password", {"password": "another passphrase"}, expect=204)
    assert server.api("GET", "/api/v1/session", key=None, headers=session).status == 401
    server.api("DELETE", path, expect=204)
    assert server.api("GET", "/api/v1/session", key=made["key"]).status == 401
    whole = server.items("/api/v1/audit", limit=200)
    assert server.items("/api/v1/audit", limit=3) == whole
    assert [e["action"] for e in whole if e["object"] == "user/小王"][-1] == "user.create"
    assert server.api("GET", "/api/v1/audit/verify", expect=200).json["whole"]


def test_nodes(server):
    assert server.api("GET", "/api/v1/nodes", expect=200).json["items"] == []
    assert server.api("POST", "/api/v1/nodes/nowhere/revoke").status == 404
    assert server.api("DELETE", "/api/v1/nodes/nowhere").status == 404


def at_once(*calls):
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(*call) for call in calls]]


def test_two_administrators_cannot_both_go(server):
    """Each takes the other's role away in the same moment: one of the two stays."""
    admin = server.api("GET", "/api/v1/users?name=admin", expect=200).json["items"][0]
    for i in range(8):
        other = new_user(server, f"other{i}", ADMINISTRATOR)
        key = server.new_key(other["name"])
        path = "/api/v1/users/{}/grants"
        answers = at_once(
            (lambda: server.api("PUT", path.format(admin["id"]), {"grants": []}, key=key),),
            (lambda: server.api("PUT", path.format(other["id"]), {"grants": []}),))
        statuses = sorted(answer.status for answer in answers)
        assert 200 in statuses and statuses[1] in (200, 403, 409), answers
        assert statuses != [200, 200], "nobody would be left"
        left = server.key if answers[0].status != 200 else key
        server.api("PUT", path.format(admin["id"]), {"grants": ADMINISTRATOR}, key=left, expect=200)
        server.api("DELETE", f"/api/v1/users/{other['id']}", expect=204)


def test_one_name_goes_to_one(server):
    for i in range(5):
        body = {"name": f"wanted{i}", "password": PASSWORD}
        answers = at_once(*[(lambda: server.api("POST", "/api/v1/users", body),)] * 3)
        assert sorted(answer.status for answer in answers) == [201, 409, 409]
    assert server.api("GET", "/api/v1/audit/verify", expect=200).json["whole"]


def test_setup_has_one_winner():
    with Belfry(set_up=False) as belfry:
        code = belfry.setup_code()
        answers = at_once(*[
            (lambda name: belfry.api("POST", "/api/v1/setup",
                                     {"code": code, "name": name, "password": PASSWORD}), name)
            for name in ("one", "two", "three")])
        assert sorted(answer.status for answer in answers) == [201, 409, 409]
        winner = next(answer.json["name"] for answer in answers if answer.status == 201)
        belfry.key = belfry.new_key(winner)
        assert [user["name"] for user in belfry.items("/api/v1/users")] == [winner]
