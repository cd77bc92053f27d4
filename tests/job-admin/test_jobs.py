"""Jobs over the API: what is kept, what is refused, who wins."""
import socket

import pytest

HTTP = {"http": {"url": "http://127.0.0.1:9/"}}
FAR = {"cron": {"expression": "0 0 3 1 1 ?", "zone": "Asia/Shanghai"}}


def body(name, **members):
    return {"group": "default", "name": name, "schedule": {"manual": {}}, "task": HTTP, **members}


def refused(belfry, job, path, status=400):
    before = len(belfry.items("/api/v1/jobs"))
    answer = belfry.api("POST", "/api/v1/jobs", job, expect=status)
    problem = answer.json
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert problem["path"] == path, problem
    assert problem["detail"], problem
    assert len(belfry.items("/api/v1/jobs")) == before, "something was stored"
    return problem


def test_job_comes_back_as_it_was_given(belfry):
    job = belfry.api("POST", "/api/v1/jobs", body(
        "whole", description="每日净值", owner="ops", tags=["fund", "日终"], schedule=FAR,
        parameters={"day": "T-1"}, misfire={"policy": "all", "limit": 3, "threshold_ms": 60000},
        overlap={"policy": "parallel", "limit": 2}, timeout_ms=5000, priority=7,
        retry={"max": 2, "first_ms": 200, "cap_ms": 1000, "timeouts": False, "lost_max": 1},
        promise="at_least_once"), expect=201)
    assert job.headers["ETag"] == '"1"'
    same = belfry.api("GET", f"/api/v1/jobs/{job.json['id']}", expect=200)
    assert same.json == job.json
    assert same.json["misfire"] == {"policy": "all", "limit": 3, "threshold_ms": 60000}
    assert same.json["tags"] == ["fund", "日终"]
    assert same.json["schedule"]["cron"]["dialect"] == "quartz", "auto is stored as resolved"
    assert same.json["next_fire_at"].endswith("-31T19:00:00Z"), "03:00 in Shanghai on 1 January"


def test_description_of_the_schedule_is_in_the_readers_language(belfry):
    job = belfry.api("POST", "/api/v1/jobs", body("words", schedule={
        "cron": {"expression": "0 0 12 * * ?", "zone": "UTC"}}), expect=201).json
    zh = belfry.api("GET", f"/api/v1/jobs/{job['id']}", headers={"Accept-Language": "zh-CN"}).json
    assert zh["schedule_text"] == "每天 12:00"
    assert job["schedule_text"] == "Every day at 12:00"


@pytest.mark.parametrize("change, path", [
    ({"name": ""}, "name"),
    ({"name": "a/b"}, "name"),
    ({"name": "x" * 3_000_000}, "name"),
    ({"name": "x" * 129}, "name"),
    ({"name": "two\nlines"}, "name"),
    ({"name": "17"}, "name"),
    ({"group": "nobody's"}, "group"),
    ({"unknown": 1}, "unknown"),
    ({"enabled": "yes"}, "enabled"),
    ({"timeout_ms": -1}, "timeout_ms"),
    ({"timeout_ms": 1.5}, "timeout_ms"),
    ({"priority": 101}, "priority"),
    ({"promise": "exactly_once"}, "promise"),
    ({"tags": ["a", "a"]}, "tags[1]"),
    ({"retry": {"max": 1, "first_ms": 1000, "cap_ms": 500}}, "retry.cap_ms"),
    ({"retry": {"max": 1, "surprise": True}}, "retry.surprise"),
    ({"promise": "at_most_once", "retry": {"max": 1}}, "retry.max"),
    ({"overlap": {"policy": "never"}}, "overlap.policy"),
    ({"route": {"policy": "pinned"}}, "route.executor"),
    ({"schedule": {}}, "schedule"),
    ({"schedule": {"manual": {}, "every": {"interval_ms": 1000}}}, "schedule"),
    ({"schedule": {"every": {"interval_ms": 1}}}, "schedule.every.interval_ms"),
    ({"schedule": {"at": {"times": []}}}, "schedule.at.times"),
    ({"schedule": {"at": {"times": ["tomorrow"]}}}, "schedule.at.times[0]"),
    ({"schedule": {"at": {"times": ["2001-01-01T00:00:00Z"]}}}, "schedule"),
    ({"schedule": {"cron": {"expression": "0 0 12 30 2 ?"}}}, "schedule.cron"),
    ({"schedule": {"cron": {"expression": "0 0 9 * * 1"}}}, "schedule.cron.expression"),
    ({"schedule": {"cron": {"expression": "０ ０ 9 * * ?"}}}, "schedule.cron.expression"),
    ({"schedule": {"cron": {"expression": "* * * *"}}}, "schedule.cron.expression"),
    ({"schedule": {"cron": {"expression": "0 12 * * *", "zone": "Mars/Olympus"}}},
     "schedule.cron.zone"),
    ({"task": {}}, "task"),
    ({"task": {"http": {"url": "ftp://example.com/"}}}, "task.http.url"),
    ({"task": {"http": {"url": "http://127.0.0.1/${nobody}"}}}, "task.http.url"),
    ({"task": {"http": {"url": "http://127.0.0.1/", "headers": [{"name": "a b", "value": "c"}]}}},
     "task.http.headers[0].name"),
    ({"task": {"script": {"interpreter": "cobol", "script": "x"}}}, "task.script.interpreter"),
])
def test_bad_input_names_the_member_and_stores_nothing(belfry, change, path):
    refused(belfry, {**body("bad"), **change}, path)


def test_a_body_of_10_mb_is_refused_before_it_is_read(belfry):
    with socket.create_connection(("127.0.0.1", belfry.port)) as client:
        client.sendall(f"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n"
                       f"Authorization: Bearer {belfry.key}\r\nContent-Type: application/json\r\n"
                       "Content-Length: 10000000\r\n\r\n{".encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_bad_json_has_a_position(belfry):
    json_type = {"Content-Type": "application/json"}
    problem = belfry.api("POST", "/api/v1/jobs", b'{"group": "default", "name": }', expect=400,
                         headers=json_type).json
    assert problem["code"] == "invalid" and problem["pos"] > 0
    twice = b'{"name": "a", "name": "b", "schedule": {"manual": {}}, "task": {"http": {"url": "x"}}}'
    belfry.api("POST", "/api/v1/jobs", twice, expect=400, headers=json_type)
    belfry.api("POST", "/api/v1/jobs", b"{}", expect=415)


def test_name_is_unique_in_its_group(belfry):
    belfry.api("POST", "/api/v1/jobs", body("once"), expect=201)
    problem = belfry.api("POST", "/api/v1/jobs", body("once"), expect=409).json
    assert problem["path"] == "name" and problem["code"] == "conflict"
    belfry.api("POST", "/api/v1/groups", {"name": "other"}, expect=201)
    belfry.api("POST", "/api/v1/jobs", body("once", group="other"), expect=201)


def test_update_wants_the_version_that_was_read(belfry):
    job = belfry.api("POST", "/api/v1/jobs", body("etag"), expect=201)
    path = f"/api/v1/jobs/{job.json['id']}"
    changed = body("etag", description="new")
    assert belfry.api("PUT", path, changed).status == 412
    belfry.api("PUT", path, changed, headers={"If-Match": '"1"'}, expect=200)
    problem = belfry.api("PUT", path, changed, headers={"If-Match": '"1"'}, expect=412).json
    assert problem["code"] == "precondition_failed"
    now = belfry.api("GET", path, expect=200)
    assert now.headers["ETag"] == '"2"' and now.json["description"] == "new"
    belfry.api("DELETE", path, headers={"If-Match": '"1"'}, expect=412)
    belfry.api("DELETE", path, headers={"If-Match": '"2"'}, expect=204)
    belfry.api("GET", path, expect=404)


def test_schedule_version_grows_only_with_the_schedule(belfry):
    job = belfry.api("POST", "/api/v1/jobs", body("versions", schedule=FAR), expect=201).json
    path = f"/api/v1/jobs/{job['id']}"
    job = belfry.api("PUT", path, body("versions", schedule=FAR, priority=3),
                     headers={"If-Match": '"1"'}, expect=200).json
    assert (job["version"], job["schedule_version"]) == (2, 1)
    other = {"cron": {"expression": "0 0 4 1 1 ?", "zone": "Asia/Shanghai"}}
    job = belfry.api("PUT", path, body("versions", schedule=other), headers={"If-Match": '"2"'},
                     expect=200).json
    assert (job["version"], job["schedule_version"]) == (3, 2)


def test_list_has_filters_and_pages(fresh_belfry):
    belfry = fresh_belfry
    belfry.api("POST", "/api/v1/groups", {"name": "fund"}, expect=201)
    for number in range(7):
        belfry.api("POST", "/api/v1/jobs", body(
            f"job-{number}", group="fund" if number % 2 else "default", owner=f"o{number % 3}",
            tags=["t"] if number < 2 else [], enabled=number != 6), expect=201)

    def names(query):
        return [job["name"] for job in belfry.items(f"/api/v1/jobs?{query}")]

    assert names("limit=2") == [f"job-{n}" for n in range(7)]
    assert names("group=fund") == ["job-1", "job-3", "job-5"]
    assert names("group=fund&name=job-3") == ["job-3"]
    assert names("tag=t") == ["job-0", "job-1"]
    assert names("owner=o1") == ["job-1", "job-4"]
    assert names("enabled=false") == ["job-6"]
    assert names("search=ob-5") == ["job-5"]
    assert names("search=%25") == [], "a percent sign is text"
    assert belfry.api("GET", "/api/v1/jobs?limit=0").json["path"] == "query.limit"
    assert belfry.api("GET", "/api/v1/jobs?colour=red", expect=400).json["path"] == "query.colour"
    belfry.api("GET", "/api/v1/jobs?cursor=zzz", expect=400)


def test_enable_disable_pause_resume(belfry):
    job = belfry.api("POST", "/api/v1/jobs", body("switch", schedule=FAR), expect=201).json
    path = f"/api/v1/jobs/{job['id']}"
    off = belfry.api("POST", path + "/disable", expect=200).json
    assert off["enabled"] is False and off["next_fire_at"] is None
    assert belfry.api("POST", path + "/disable", expect=200).json["version"] == off["version"]
    belfry.api("POST", path + "/pause", {}, expect=409)
    on = belfry.api("POST", path + "/enable", expect=200).json
    assert on["enabled"] is True and on["next_fire_at"] == job["next_fire_at"]
    belfry.api("POST", path + "/pause", {"until": "2001-01-01T00:00:00Z"}, expect=400)
    paused = belfry.api("POST", path + "/pause", {"until": "2150-01-01T00:00:00Z"}, expect=200).json
    assert paused["paused_until"] == "2150-01-01T00:00:00Z"
    assert paused["next_fire_at"] == "2150-12-31T19:00:00Z"
    # a fire at the very end of the pause fires
    edge = belfry.api("POST", path + "/pause", {"until": "2150-12-31T19:00:00Z"}, expect=200).json
    assert edge["next_fire_at"] == "2150-12-31T19:00:00Z"
    why = belfry.api("GET", path + "/why?at=2150-12-31T19:00:00Z", expect=200).json
    assert why["outcome"] == "EXPECTED"
    resumed = belfry.api("POST", path + "/resume", expect=200).json
    assert resumed["paused_until"] is None and resumed["next_fire_at"] == job["next_fire_at"]


def test_fires_to_come(fresh_belfry):
    belfry = fresh_belfry
    job = belfry.api("POST", "/api/v1/jobs", body("fires", schedule={
        "cron": {"expression": "0 0 0 ? * MON", "zone": "UTC"}}), expect=201).json
    fires = belfry.api("GET", f"/api/v1/jobs/{job['id']}/fires?from=2030-01-01T00:00:00Z"
                              "&to=2030-02-01T00:00:00Z", expect=200).json["items"]
    assert [fire["fire_at"][:10] for fire in fires] == [
        "2030-01-07", "2030-01-14", "2030-01-21", "2030-01-28"]
    every = belfry.api("GET", "/api/v1/fires?from=2030-01-01T00:00:00Z&to=2030-01-08T00:00:00Z",
                       expect=200).json["items"]
    assert {"fires"} == {fire["job"] for fire in every}
    belfry.api("GET", f"/api/v1/jobs/{job['id']}/fires?from=2030-01-02T00:00:00Z"
                      "&to=2030-01-01T00:00:00Z", expect=400)


def test_groups(fresh_belfry):
    belfry = fresh_belfry
    assert [g["name"] for g in belfry.items("/api/v1/groups")] == ["default"]
    belfry.api("POST", "/api/v1/groups", {"name": "a/b"}, expect=400)
    belfry.api("POST", "/api/v1/groups", {"name": "x"}, expect=201)
    belfry.api("POST", "/api/v1/groups", {"name": "x"}, expect=409)
    job = belfry.api("POST", "/api/v1/jobs", body("in", group="x"), expect=201).json
    belfry.api("DELETE", "/api/v1/groups/x", expect=409)
    belfry.api("DELETE", f"/api/v1/jobs/{job['id']}", headers={"If-Match": '"1"'}, expect=204)
    belfry.api("DELETE", "/api/v1/groups/x", expect=204)
    belfry.api("DELETE", "/api/v1/groups/default", expect=409)
    belfry.api("DELETE", "/api/v1/groups/never", expect=404)


def test_every_change_leaves_an_audit_entry(fresh_belfry):
    belfry = fresh_belfry
    job = belfry.api("POST", "/api/v1/jobs", body("audited"), expect=201).json
    belfry.api("POST", f"/api/v1/jobs/{job['id']}/disable", expect=200)
    belfry.api("DELETE", f"/api/v1/jobs/{job['id']}", headers={"If-Match": '"2"'}, expect=204)
    actions = [entry["action"] for entry in belfry.items("/api/v1/audit")
               if entry["object"] == f"job/{job['id']}"]
    assert sorted(actions) == ["job.create", "job.delete", "job.disable"]


def test_preview_of_a_cron_expression(belfry):
    preview = belfry.api("POST", "/api/v1/cron/preview", {
        "expression": "0 30 2 * * ?", "zone": "America/New_York", "from": "2026-03-07T12:00:00Z",
        "count": 3}, expect=200).json
    assert [fire["local"] for fire in preview["fires"]] == [
        "2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00", "2026-03-10T02:30:00-04:00"]
    assert preview["fires"][0]["mark"] == "shifted"
    problem = belfry.api("POST", "/api/v1/cron/preview", {"expression": "0 0 12 32 * ?"},
                         expect=400).json
    assert problem["path"] == "expression" and problem["pos"] == 8 and problem["field"] == 4
