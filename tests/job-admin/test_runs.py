"""Runs: parameters, retries, order, delays, the API of a run, the status page."""
import datetime
import threading

import pytest

from belfry import Belfry, Sink, wait_for
from conftest import http_task


def iso(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def ms(text):
    return round(iso(text).timestamp() * 1000)


def test_parameters_of_the_job_and_of_the_trigger(belfry, far_end):
    job = belfry.job("parameters", {"http": {
        "method": "POST", "url": far_end.url + "/ok?day=${fire_date:yyyyMMdd}",
        "headers": [{"name": "X-Who", "value": "${who}"}], "body": '{"fund": "${fund}"}'}},
        parameters={"who": "job", "fund": "A"})
    first = belfry.wait_run(belfry.run(job))
    second = belfry.wait_run(belfry.run(job, parameters={"fund": 'B "quoted"'}))
    assert (first["state"], second["state"]) == ("SUCCEEDED", "SUCCEEDED"), second
    a, b = far_end.requests
    assert a.headers["X-Who"] == b.headers["X-Who"] == "job"
    assert a.body == b'{"fund": "A"}' and b.body == b'{"fund": "B \\"quoted\\""}'
    assert a.headers["Idempotency-Key"] == f"belfry-{first['id']}"
    assert second["parameters"] == {"fund": 'B "quoted"'}


def test_rerun_has_the_same_inputs(belfry, far_end):
    job = belfry.job("rerun", {"http": {"url": far_end.url + "/ok?at=${fire_time}&p=${p}"}},
                     parameters={"p": "1"})
    first = belfry.wait_run(belfry.run(job, parameters={"p": "2"}))
    again = belfry.api("POST", f"/api/v1/runs/{first['id']}/rerun", expect=201).json
    once_more = belfry.api("POST", f"/api/v1/runs/{first['id']}/rerun", expect=201).json
    assert [belfry.wait_run(run["id"])["state"] for run in (again, once_more)].count("SUCCEEDED") >= 1
    assert (again["fire_key"], once_more["fire_key"]) == (
        f"rerun:{first['id']}:1", f"rerun:{first['id']}:2")
    far_end.wait_for(lambda requests: len(requests) >= 2)
    assert len({request.path for request in far_end.requests}) == 1, "the same URL each time"


def test_the_same_request_id_gives_the_same_run(belfry, far_end):
    job = belfry.job("idempotent", http_task(far_end))
    path = f"/api/v1/jobs/{job['id']}/run"
    first = belfry.api("POST", path, {"request_id": "r-1"}, expect=201).json
    again = belfry.api("POST", path, {"request_id": "r-1"}, expect=200).json
    other = belfry.api("POST", path, {"request_id": "r-2"}, expect=201).json
    assert first["id"] == again["id"] != other["id"]
    belfry.wait_run(other["id"])
    assert len(belfry.items(f"/api/v1/runs?job={job['id']}")) == 2


def test_retries_with_growing_backoff(belfry, answers):
    tries = []

    def flaky(request):
        tries.append(request)
        return (500, {}, "no") if len(tries) < 4 else (200, {}, "yes")
    with Sink(flaky) as sink:
        job = belfry.job("retry", {"http": {"url": sink.url}},
                         retry={"max": 5, "first_ms": 100, "cap_ms": 250})
        run = belfry.wait_run(belfry.run(job))
    assert (run["state"], run["attempt"], len(run["attempts"])) == ("SUCCEEDED", 4, 4)
    waits = [(b.ns - a.ns) / 1e6 for a, b in zip(tries, tries[1:])]
    assert waits[0] >= 80 and waits[1] >= 160 and waits[2] >= 200, waits
    assert {request.headers["Idempotency-Key"] for request in tries} == {f"belfry-{run['id']}"}
    assert [request.headers["X-Belfry-Attempt"] for request in tries] == ["1", "2", "3", "4"]
    assert [attempt["cause"]["kind"] for attempt in run["attempts"]] == ["http_status"] * 3 + ["ok"]


def test_last_retry_ends_the_run(belfry, far_end):
    job = belfry.job("hopeless", http_task(far_end, "/status/503"),
                     retry={"max": 2, "first_ms": 100, "cap_ms": 100})
    run = belfry.wait_run(belfry.run(job))
    assert (run["state"], run["attempt"], len(far_end.requests)) == ("FAILED", 3, 3)


def test_timeouts_are_retried_only_where_asked_for(belfry, far_end):
    for retried in (True, False):
        job = belfry.job(f"timeout-{retried}", http_task(far_end, "/slow"), timeout_ms=100,
                         retry={"max": 1, "first_ms": 100, "cap_ms": 100, "timeouts": retried})
        run = belfry.wait_run(belfry.run(job))
        assert (run["state"], run["attempt"]) == ("TIMED_OUT", 2 if retried else 1)


def test_output_is_taken_from_the_answer(belfry, far_end):
    job = belfry.job("output", http_task(far_end, "/json", output={"pointer": "/rows"}))
    assert belfry.wait_run(belfry.run(job))["output"] == 3
    script = belfry.job("output-script", {"script": {
        "interpreter": "python3", "script": "print('working')\nprint('{\"rows\": 7}')"}})
    run = belfry.wait_run(belfry.run(script))
    assert run["output"] == {"rows": 7} and run["exit_code"] == 0
    assert run["cpu_ms"] >= 0 and run["memory_peak"] > 1_000_000


def test_priority_goes_first(far_end, answers):
    with Belfry(settings={"execute.slots": 1, "execute.queue": 1}) as belfry:
        blocker = belfry.job("blocker", http_task(far_end, "/slow"),
                             overlap={"policy": "parallel", "limit": 2})
        blockers = [belfry.run(blocker) for _ in range(2)]
        belfry.wait_run(blockers[0], ("RUNNING",))
        runs = {}
        for priority in (0, 50, -50):
            job = belfry.job(f"priority{priority}", http_task(far_end, f"/{priority}"),
                             priority=priority)
            runs[priority] = belfry.run(job)
        for run in runs.values():
            belfry.wait_run(run, ("READY",))
        answers.release()
        started = {priority: belfry.wait_run(run)["started_at"] for priority, run in runs.items()}
        assert started[50] <= started[0] <= started[-50], started


def test_delay_counts_from_the_end_of_the_run_before(belfry, far_end):
    job = belfry.job("delay", {"script": {"interpreter": "sh", "script": "sleep 0.2"}},
                     {"delay": {"delay_ms": 300}})

    def three():
        runs = belfry.items(f"/api/v1/runs?job={job['id']}&state=SUCCEEDED")
        return sorted(runs, key=lambda run: run["fire_at"]) if len(runs) >= 3 else None
    runs = wait_for(three, "three runs")
    for before, after in zip(runs, runs[1:]):
        assert 300 <= ms(after["fire_at"]) - ms(before["ended_at"]) < 400
    belfry.api("POST", f"/api/v1/jobs/{job['id']}/disable", expect=200)


def test_fires_stand_on_the_grid_and_are_never_early(belfry, far_end):
    job = belfry.job("grid", http_task(far_end),
                     {"every": {"interval_ms": 200, "start": "2026-01-01T00:00:00Z"}},
                     overlap={"policy": "parallel", "limit": 100})
    far_end.wait_for(lambda requests: len(requests) >= 10)
    belfry.api("POST", f"/api/v1/jobs/{job['id']}/disable", expect=200)
    wait_for(lambda: all(run["state"] in Belfry.TERMINAL for run in
                         belfry.items(f"/api/v1/runs?job={job['id']}")), "all to end")
    runs = {run["id"]: run for run in belfry.items(f"/api/v1/runs?job={job['id']}")}
    assert all(ms(run["fire_at"]) % 200 == 0 for run in runs.values())
    for request in far_end.requests:
        assert request.ns / 1e6 >= ms(runs[request.run_id]["fire_at"]), "early"
    counts = [request.run_id for request in far_end.requests]
    assert len(counts) == len(set(counts)) == len(runs)


def test_disabling_takes_planned_fires_away(belfry, far_end):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
    job = belfry.job("cancel", http_task(far_end),
                     {"at": {"times": [at.strftime("%Y-%m-%dT%H:%M:%SZ")]}})
    wait_for(lambda: belfry.items(f"/api/v1/runs?job={job['id']}&state=PLANNED"), "the plan")
    belfry.api("POST", f"/api/v1/jobs/{job['id']}/disable", expect=200)
    assert belfry.items(f"/api/v1/runs?job={job['id']}") == []
    wait_for(lambda: datetime.datetime.now(datetime.timezone.utc) > at +
             datetime.timedelta(milliseconds=300), "its time to pass")
    assert far_end.requests == []


def test_list_of_runs_has_filters_and_pages(fresh_belfry, far_end):
    belfry = fresh_belfry
    good, bad = belfry.job("good", http_task(far_end)), belfry.job("bad", http_task(far_end, "/status/404"))
    for _ in range(5):
        belfry.wait_run(belfry.run(good))
        belfry.wait_run(belfry.run(bad))
    everything = belfry.items("/api/v1/runs?limit=3")
    assert len(everything) == 10 and len({run["id"] for run in everything}) == 10
    assert everything == sorted(everything, key=lambda run: (ms(run["fire_at"]), run["id"]),
                                reverse=True)
    assert {run["job"] for run in belfry.items("/api/v1/runs?state=FAILED")} == {"bad"}
    assert len(belfry.items(f"/api/v1/runs?job={good['id']}&limit=2")) == 5
    middle = everything[4]["fire_at"]
    assert len(belfry.items(f"/api/v1/runs?from={middle}")) == 5
    assert belfry.items("/api/v1/runs?group=nobody") == []
    assert belfry.api("GET", "/api/v1/runs?state=DONE", expect=400).json["path"] == "query.state"
    belfry.api("GET", "/api/v1/runs/1", expect=404)
    belfry.api("GET", "/api/v1/runs/x", expect=404)


def test_status_page(fresh_belfry, far_end):
    belfry = fresh_belfry
    job = belfry.job("status", http_task(far_end, "/status/${code}"), {
        "cron": {"expression": "0 0 3 * * ?", "zone": "UTC"}}, parameters={"code": "200"})
    for code in ("200", "200", "200", "500"):
        belfry.wait_run(belfry.run(job, parameters={"code": code}))
    status = belfry.api("GET", f"/api/v1/jobs/{job['id']}/status", expect=200).json
    assert (status["ended"], status["succeeded"], status["success_rate"]) == (4, 3, 0.75)
    assert status["usual_duration_ms"] >= 0 and len(status["last_runs"]) == 4
    assert len(status["next_fires"]) == 5
    # what is planned for the next seconds is no last run
    soon = belfry.job("soon", http_task(far_end), {"at": {"times": [
        (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=4))
        .strftime("%Y-%m-%dT%H:%M:%SZ")]}})
    wait_for(lambda: belfry.items(f"/api/v1/runs?job={soon['id']}&state=PLANNED"), "the plan")
    assert belfry.api("GET", f"/api/v1/jobs/{soon['id']}/status").json["last_runs"] == []
    assert all(at.endswith("T03:00:00Z") for at in status["next_fires"])


def test_two_stops_at_once_and_a_result_race(belfry, far_end):
    job = belfry.job("stops", http_task(far_end, "/slow"))
    run_id = belfry.run(job)
    belfry.wait_run(run_id, ("RUNNING",))
    statuses = []

    def stop():
        statuses.append(belfry.api("POST", f"/api/v1/runs/{run_id}/stop").status)
    threads = [threading.Thread(target=stop) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {202, 409} and 202 in statuses
    assert belfry.wait_run(run_id)["state"] == "CANCELLED"


def test_jitter_moves_the_start_and_not_the_fire(belfry, far_end):
    job = belfry.job("jitter", http_task(far_end),
                     {"every": {"interval_ms": 200, "start": "2026-01-01T00:00:00Z"}},
                     jitter_ms=150, overlap={"policy": "parallel", "limit": 100})
    far_end.wait_for(lambda requests: len(requests) >= 10)
    belfry.api("POST", f"/api/v1/jobs/{job['id']}/disable", expect=200)
    wait_for(lambda: all(run["state"] in Belfry.TERMINAL for run in
                         belfry.items(f"/api/v1/runs?job={job['id']}")), "all to end")
    runs = {run["id"]: run for run in belfry.items(f"/api/v1/runs?job={job['id']}")}
    shifts = [ms(run["start_at"]) - ms(run["fire_at"]) for run in runs.values()]
    assert all(0 <= shift <= 150 for shift in shifts) and len(set(shifts)) > 3, shifts
    assert all(ms(run["fire_at"]) % 200 == 0 for run in runs.values())
    for request in far_end.requests:
        assert request.ns / 1e6 >= ms(runs[request.run_id]["start_at"]), "before its start"
