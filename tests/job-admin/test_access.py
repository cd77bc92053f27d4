"""Groups keep people apart: what one may not see is not there."""
import pytest

from belfry import PASSWORD

HTTP = {"http": {"url": "http://127.0.0.1:9/"}}


@pytest.fixture(scope="module")
def people(belfry):
    belfry.api("POST", "/api/v1/groups", {"name": "fund"}, expect=201)
    belfry.api("POST", "/api/v1/groups", {"name": "trade"}, expect=201)
    keys = {}
    for name, grants in {
        "viewer": [{"group": "fund", "role": "viewer"}],
        "operator": [{"group": "fund", "role": "operator"}],
        "developer": [{"group": "fund", "role": "developer"}],
        "stranger": [{"group": "trade", "role": "developer"}],
    }.items():
        belfry.api("POST", "/api/v1/users",
                   {"name": name, "password": PASSWORD, "grants": grants}, expect=201)
        keys[name] = belfry.new_key(name)
    return keys


@pytest.fixture(scope="module")
def job(belfry, people):
    return belfry.job("secret", HTTP, group="fund")


def test_who_may_what(belfry, people, job):
    path = f"/api/v1/jobs/{job['id']}"
    change = {"group": "fund", "name": "secret", "task": HTTP, "schedule": {"manual": {}}}

    def status(who, method, path, body=None, headers=None):
        return belfry.api(method, path, body, key=people[who], headers=headers).status

    assert [status(who, "GET", path) for who in people] == [200, 200, 200, 404]
    assert [status(who, "POST", path + "/run", {}) for who in ("viewer", "stranger")] == [403, 404]
    assert status("operator", "POST", path + "/run", {}) == 201
    match = {"If-Match": '"1"'}
    assert [status(who, "PUT", path, change, match) for who in ("viewer", "operator", "stranger")] \
        == [403, 403, 404]
    assert status("developer", "PUT", path, change, match) == 200
    assert [status(who, "POST", "/api/v1/jobs", {**change, "name": "x"})
            for who in ("viewer", "operator")] == [403, 403]
    for what in ("status", "fires", "why"):
        assert [status(who, "GET", f"{path}/{what}") for who in ("viewer", "stranger")] == [200, 404]


def test_a_foreign_group_is_refused_by_name(belfry, people):
    problem = belfry.api("POST", "/api/v1/jobs", {
        "group": "fund", "name": "mine", "task": HTTP, "schedule": {"manual": {}}},
        key=people["stranger"], expect=400).json
    assert problem["path"] == "group"
    # nor may a job be moved into one
    job = belfry.api("POST", "/api/v1/jobs", {
        "group": "trade", "name": "mine", "task": HTTP, "schedule": {"manual": {}}},
        key=people["stranger"], expect=201).json
    moved = belfry.api("PUT", f"/api/v1/jobs/{job['id']}", {
        "group": "fund", "name": "mine", "task": HTTP, "schedule": {"manual": {}}},
        key=people["stranger"], headers={"If-Match": '"1"'}, expect=400).json
    assert moved["path"] == "group"


def test_lists_show_only_ones_own(belfry, people, job):
    def names(who, path):
        return {item.get("job") or item["name"] for item in
                belfry.api("GET", path, key=people[who], expect=200).json["items"]}

    run = belfry.run(job)
    belfry.wait_run(run)
    assert names("stranger", "/api/v1/jobs") == {"mine"}
    assert names("viewer", "/api/v1/jobs") == {"secret"}
    assert names("stranger", "/api/v1/runs") == set()
    assert names("viewer", "/api/v1/runs") == {"secret"}
    assert names("viewer", "/api/v1/groups") == {"fund"}
    for path in (f"/api/v1/runs/{run}", f"/api/v1/runs/{run}/log"):
        assert belfry.api("GET", path, key=people["stranger"]).status == 404
    assert belfry.api("POST", f"/api/v1/runs/{run}/stop", key=people["stranger"]).status == 404
    assert belfry.api("POST", f"/api/v1/runs/{run}/rerun", key=people["stranger"]).status == 404
    assert belfry.api("POST", f"/api/v1/runs/{run}/rerun", key=people["viewer"]).status == 403
