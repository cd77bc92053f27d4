"""For each outcome and reason of the closed lists: what makes it, and what `why` says of it."""
import datetime
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from belfry import TOP, Belfry, free_port, wait_for
from conftest import http_task, overdue, stopped_store

produced = set()


def explain(belfry, job, at):
    answer = belfry.api("GET", f"/api/v1/jobs/{job['id']}/why?at={at.replace('+', '%2B')}",
                        expect=200).json
    assert answer["cause"]["text"], answer
    produced.add((answer["outcome"], answer["cause"]["kind"]))
    return answer


def ended(belfry, job, state, cause, **body):
    """Fires the job, waits for its end and asks why: all three must agree."""
    run = belfry.wait_run(belfry.run(job, **body))
    return judged(belfry, job, run, state, cause)


def judged(belfry, job, run, state, cause):
    assert (run["state"], run["cause"]["kind"]) == (state, cause), run
    why = explain(belfry, job, run["fire_at"])
    assert (why["outcome"], why["cause"]["kind"]) == (state, cause), why
    assert why["run"]["id"] == run["id"]
    assert [item["kind"] for item in why["trace"]][0] == "planned"
    return run


def in_past(seconds):
    return now() - datetime.timedelta(seconds=seconds)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def text(time):
    return time.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


YEARLY = {"cron": {"expression": "0 0 3 1 1 ?", "zone": "UTC"}}


def hourly(**members):
    return {"every": {"interval_ms": 3600_000, "start": "2020-01-01T00:00:00Z"}, **members}


# --- attempts that end ---------------------------------------------------------------------------


def test_ok(belfry, far_end):
    job = belfry.job("ok", http_task(far_end))
    run = ended(belfry, job, "SUCCEEDED", "ok")
    assert run["attempts"][0]["state"] == "SUCCEEDED" and run["lateness_ms"] >= 0


@pytest.mark.parametrize("path, members, cause", [
    ("/status/500", {}, "http_status"),
    ("/json", {"success": {"json": [{"pointer": "/state", "op": "eq", "value": "done"}]}}, "check"),
    ("/large", {"response_max": 1000}, "too_large"),
    ("/redirect", {"redirects": 3}, "redirect"),
])
def test_http_failures(belfry, far_end, path, members, cause):
    job = belfry.job(f"http-{cause}", http_task(far_end, path, **members))
    ended(belfry, job, "FAILED", cause)


def test_nobody_listens(belfry):
    job = belfry.job("connect", {"http": {"url": f"http://127.0.0.1:{free_port()}/"}})
    ended(belfry, job, "FAILED", "connect")


def test_egress_rules(belfry):
    job = belfry.job("egress", {"http": {"url": "http://169.254.169.254/latest/meta-data/"}})
    ended(belfry, job, "FAILED", "egress")
    own = belfry.job("egress-own", {"http": {"url": belfry.url + "/healthz"}})
    ended(belfry, own, "FAILED", "egress")


def test_tls_is_verified(belfry, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
                    "-subj", "/CN=localhost", "-keyout", tmp_path / "key", "-out",
                    tmp_path / "certificate"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            try:
                with context.wrap_socket(server.accept()[0], server_side=True):
                    pass
            except OSError:
                pass  # the handshake is refused: that is the test
        threading.Thread(target=serve, daemon=True).start()
        job = belfry.job("tls", {"http": {"url": f"https://127.0.0.1:{server.getsockname()[1]}/"}})
        ended(belfry, job, "FAILED", "tls")


def test_timeout(belfry, far_end):
    job = belfry.job("timeout", http_task(far_end, "/slow"), timeout_ms=200)
    run = ended(belfry, job, "TIMED_OUT", "timeout")
    assert 200 <= run["duration_ms"] < 5000


@pytest.mark.parametrize("script, limits, cause", [
    ("exit 3", {}, "exit_code"),
    ("kill -9 $$", {}, "signal"),
    ("import sys\nx = []\nwhile True: x.append(bytearray(10_000_000))", {"memory": 100_000_000},
     "memory"),
    ("while :; do echo 0123456789012345678901234567890123456789; done", {"output": 100_000},
     "output_limit"),
    ("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 60 & done; wait", {"processes": 5},
     "processes"),
])
def test_script_failures(belfry, script, limits, cause):
    interpreter = "python3" if script.startswith("import") else "sh"
    job = belfry.job(f"script-{cause}", {"script": {"interpreter": interpreter, "script": script,
                                                    "limits": limits}})
    run = ended(belfry, job, "FAILED", cause)
    if cause == "exit_code":
        assert run["exit_code"] == 3 and run["cause"]["text"].endswith(": 3")


def test_script_that_cannot_start(belfry):
    job = belfry.job("start", {"script": {"interpreter": "sh", "script": "true",
                                          "cwd": "/no/such/folder"}})
    ended(belfry, job, "FAILED", "start")


def test_task_that_cannot_be_carried_out(belfry, far_end):
    job = belfry.job("task", http_task(far_end, "/${where}"), parameters={"where": "ok"})
    # a newline in a header's value or a URL is known only when the parameter has its value
    job = belfry.job("task-header", {"http": {
        "url": far_end.url + "/ok", "headers": [{"name": "X-Who", "value": "${who}"}]}},
        parameters={"who": "me"})
    ended(belfry, job, "FAILED", "task", parameters={"who": "a\r\nHost: b"})


# --- people and newer fires ------------------------------------------------------------------------


def test_stopped_by_a_person(belfry, far_end):
    job = belfry.job("stopped", http_task(far_end, "/slow"))
    run_id = belfry.run(job)
    belfry.wait_run(run_id, ("RUNNING",))
    belfry.api("POST", f"/api/v1/runs/{run_id}/stop", {"reason": "wrong day"}, expect=202)
    run = judged(belfry, job, belfry.wait_run(run_id), "CANCELLED", "stopped")
    assert run["stop_by"] and any(note["text"] == "wrong day" for note in run["notes"])
    belfry.api("POST", f"/api/v1/runs/{run_id}/stop", expect=409)


def test_overlap_skip(belfry, far_end):
    job = belfry.job("overlap", http_task(far_end, "/slow"))
    first = belfry.run(job)
    belfry.wait_run(first, ("RUNNING",))
    ended(belfry, job, "SKIPPED", "overlap")
    belfry.api("POST", f"/api/v1/runs/{first}/stop", expect=202)


def test_overlap_queue_and_its_limit(belfry, far_end, answers):
    job = belfry.job("queue", http_task(far_end, "/slow"), overlap={"policy": "queue", "limit": 1})
    first = belfry.run(job)
    belfry.wait_run(first, ("RUNNING",))
    second = belfry.run(job)
    belfry.wait_run(second, ("WAITING",))
    ended(belfry, job, "SKIPPED", "queue_full")
    answers.release()
    assert belfry.wait_run(second)["started_at"] >= belfry.wait_run(first)["ended_at"]


def test_overlap_replace(belfry, far_end):
    job = belfry.job("replace", http_task(far_end, "/slow"), overlap={"policy": "replace"})
    first = belfry.run(job)
    belfry.wait_run(first, ("RUNNING",))
    second = belfry.run(job)
    judged(belfry, job, belfry.wait_run(first), "CANCELLED", "replaced")
    belfry.wait_run(second, ("RUNNING",))
    belfry.api("POST", f"/api/v1/runs/{second}/stop", expect=202)


def test_overlap_parallel(belfry, far_end):
    job = belfry.job("parallel", http_task(far_end, "/slow"),
                     overlap={"policy": "parallel", "limit": 2})
    runs = [belfry.run(job), belfry.run(job)]
    for run in runs:
        belfry.wait_run(run, ("RUNNING",))
    ended(belfry, job, "SKIPPED", "overlap")
    for run in runs:
        belfry.api("POST", f"/api/v1/runs/{run}/stop", expect=202)


def test_job_deleted_under_a_run(belfry, far_end):
    job = belfry.job("deleted", http_task(far_end, "/slow"))
    run_id = belfry.run(job)
    belfry.wait_run(run_id, ("RUNNING",))
    belfry.api("DELETE", f"/api/v1/jobs/{job['id']}", headers={"If-Match": '"1"'}, expect=204)
    run = judged(belfry, job, belfry.wait_run(run_id), "CANCELLED", "deleted")
    assert run["job"] == "deleted", "a run keeps the name of its job"


# --- no place, lost ----------------------------------------------------------------------------------


def test_no_slot(far_end):
    with Belfry(settings={"execute.slots": 1, "execute.queue": 1}) as belfry:
        blocker = belfry.job("blocker", http_task(far_end, "/slow"),
                             overlap={"policy": "parallel", "limit": 5})
        for _ in range(2):
            belfry.run(blocker)
        wait_for(lambda: len(belfry.items("/api/v1/runs?state=RUNNING")) == 1, "the blocker to run")
        job = belfry.job("no-slot", http_task(far_end), start_deadline_ms=500)
        ended(belfry, job, "SHED", "no_slot")


def test_no_executor(far_end):
    own = f"127.0.0.1:{free_port()}"  # else executors of other tests would find it
    with Belfry(services=("gateway", "auth", "job-admin"), settings={
            "cluster.join_key": "k" * 40, "internal.listen": own,
            "registry.auth": "http://" + own, "registry.job-admin": "http://" + own}) as belfry:
        job = belfry.job("no-executor", http_task(far_end), start_deadline_ms=500)
        ended(belfry, job, "SHED", "no_executor")


def test_pinned_executor_is_not_there(belfry, far_end):
    job = belfry.job("pinned", http_task(far_end), start_deadline_ms=500,
                     route={"policy": "pinned", "executor": "elsewhere"})
    ended(belfry, job, "SHED", "no_executor")


def test_lost_at_most_once_is_unknown_and_at_least_once_runs_again(far_end, answers):
    with Belfry() as belfry:
        careful = belfry.job("at-most-once", http_task(far_end, "/slow"), promise="at_most_once")
        again = belfry.job("at-least-once", http_task(far_end, "/slow"))
        last = belfry.job("no-more", http_task(far_end, "/slow"),
                          retry={"max": 0, "first_ms": 100, "cap_ms": 100, "lost_max": 0})
        runs = [belfry.run(job) for job in (careful, again, last)]
        for run in runs:
            belfry.wait_run(run, ("RUNNING",))
        belfry.kill9()
        answers.release()
        belfry.start()
        judged(belfry, careful, belfry.wait_run(runs[0]), "UNKNOWN", "lost")
        run = belfry.wait_run(runs[1])
        assert (run["state"], run["attempt"]) == ("SUCCEEDED", 2)
        assert run["attempts"][0]["cause"]["kind"] == "lost", "each further attempt has its cause"
        judged(belfry, last, belfry.wait_run(runs[2]), "FAILED", "lost")


# --- how a run came to be ------------------------------------------------------------------------------


def test_cause_of_a_run_under_way(belfry, far_end):
    job = belfry.job("origin", http_task(far_end, "/slow"))
    run_id = belfry.run(job)
    run = belfry.wait_run(run_id, ("RUNNING",))
    assert run["origin"] == "manual"
    assert explain(belfry, job, run["fire_at"])["cause"]["kind"] == "manual"
    belfry.api("POST", f"/api/v1/runs/{run_id}/stop", expect=202)
    belfry.wait_run(run_id)
    rerun = belfry.api("POST", f"/api/v1/runs/{run_id}/rerun", expect=201).json
    assert (rerun["origin"], rerun["fire_at"]) == ("rerun", run["fire_at"])
    assert rerun["parent_run_id"] == run_id
    produced.add(("RUNNING", rerun["cause"]["kind"]))
    belfry.api("POST", f"/api/v1/runs/{rerun['id']}/stop", expect=202)


def scheduled_run(belfry, job, states=Belfry.TERMINAL):
    def found():
        runs = belfry.items(f"/api/v1/runs?job={job['id']}")
        return next((run for run in reversed(runs) if run["state"] in states), None)
    run = wait_for(found, lambda: f"a run of {job['name']} in {states}")
    return belfry.api("GET", f"/api/v1/runs/{run['id']}", expect=200).json


def test_scheduled_fire(belfry, far_end):
    at = now() + datetime.timedelta(seconds=1)
    job = belfry.job("at", http_task(far_end, "/slow"), {"at": {"times": [text(at)]}})
    why = explain(belfry, job, text(at))
    assert (why["outcome"], why["cause"]["kind"]) in (("EXPECTED", "expected"),
                                                      ("PLANNED", "schedule"))
    run = scheduled_run(belfry, job, ("RUNNING",))
    assert run["fire_at"] == text(at)[:19] + text(at)[19:]
    assert explain(belfry, job, run["fire_at"])["cause"]["kind"] == "schedule"
    belfry.api("POST", f"/api/v1/runs/{run['id']}/stop", expect=202)


# --- fires that were missed ------------------------------------------------------------------------------


def test_misfire_once_runs_the_newest_and_merges_the_rest(far_end):
    with Belfry() as belfry:
        job = belfry.job("misfire-once", http_task(far_end), hourly())
        overdue(belfry, job, 5 * 3600)
        run = scheduled_run(belfry, job)
        assert (run["state"], run["origin"]) == ("SUCCEEDED", "misfire")
        newest = now().replace(minute=0, second=0, microsecond=0)
        assert run["fire_at"] == newest.strftime("%Y-%m-%dT%H:00:00Z")
        why = explain(belfry, job, text(newest - datetime.timedelta(hours=2)))
        assert (why["outcome"], why["cause"]["kind"]) == ("NOT_RUN", "misfire_merged")
        assert why["gap_fires"] in (3, 4), "five hours, less the one that ran"


def test_misfire_origin_while_it_runs(far_end):
    with Belfry() as belfry:
        job = belfry.job("misfire-slow", http_task(far_end, "/slow"), hourly())
        overdue(belfry, job, 3600)
        run = scheduled_run(belfry, job, ("RUNNING",))
        assert explain(belfry, job, run["fire_at"])["cause"]["kind"] == "misfire"
        belfry.api("POST", f"/api/v1/runs/{run['id']}/stop", expect=202)
        belfry.wait_run(run["id"])


def test_misfire_all_up_to_its_limit(far_end):
    with Belfry() as belfry:
        job = belfry.job("misfire-all", http_task(far_end), hourly(),
                         misfire={"policy": "all", "limit": 2, "threshold_ms": 5000},
                         overlap={"policy": "queue"})
        overdue(belfry, job, 5 * 3600)
        wait_for(lambda: [run["state"] for run in belfry.items(f"/api/v1/runs?job={job['id']}")] ==
                 ["SUCCEEDED"] * 2, "two runs")
        why = explain(belfry, job, text(now().replace(minute=0, second=0, microsecond=0) -
                                        datetime.timedelta(hours=3)))
        assert (why["outcome"], why["cause"]["kind"]) == ("NOT_RUN", "misfire_limit")


def test_misfire_skip_one_is_a_run_and_more_a_gap(far_end):
    with Belfry() as belfry:
        one = belfry.job("misfire-skip", http_task(far_end), hourly(),
                         misfire={"policy": "skip", "limit": 1, "threshold_ms": 5000})
        overdue(belfry, one, 3600)
        judged(belfry, one, scheduled_run(belfry, one), "SKIPPED", "misfire_skipped")
        more = belfry.job("misfire-skips", http_task(far_end), hourly(),
                          misfire={"policy": "skip", "limit": 1, "threshold_ms": 5000})
        overdue(belfry, more, 4 * 3600)
        at = text(now().replace(minute=0, second=0, microsecond=0) - datetime.timedelta(hours=1))
        wait_for(lambda: explain(belfry, more, at)["outcome"] == "NOT_RUN", "the gap")
        assert explain(belfry, more, at)["cause"]["kind"] == "misfire_skipped"


# --- not fired on purpose ----------------------------------------------------------------------------------


def move_back(belfry, job, column, hours):
    """As if the switch had been thrown hours ago."""
    with stopped_store(belfry) as db:
        db.execute(f"UPDATE job SET {column} = {column} - ?, created_at = 0 WHERE id = ?",
                   (hours * 3600_000, job["id"]))
        db.execute("UPDATE job_version SET valid_from = 0 WHERE job_id = ?", (job["id"],))


def last_hours(back):
    return text(now().replace(minute=0, second=0, microsecond=0) - datetime.timedelta(hours=back))


def test_paused_now_before_and_after(far_end):
    with Belfry() as belfry:
        job = belfry.job("paused", http_task(far_end), hourly())
        path = f"/api/v1/jobs/{job['id']}"
        belfry.api("POST", path + "/pause", {}, expect=200)
        move_back(belfry, job, "paused_at", 5)
        why = explain(belfry, job, last_hours(2))
        assert (why["outcome"], why["cause"]["kind"]) == ("NOT_RUN", "paused"), "from the job"
        assert explain(belfry, job, last_hours(-2))["cause"]["kind"] == "paused"
        belfry.api("POST", path + "/resume", expect=200)
        why = explain(belfry, job, last_hours(2))
        assert (why["outcome"], why["cause"]["kind"]) == ("NOT_RUN", "paused"), "from the gap"
        assert why["gap_fires"] == 5
        assert explain(belfry, job, last_hours(-2))["outcome"] == "EXPECTED"


def test_disabled_now_before_and_after(far_end):
    with Belfry() as belfry:
        job = belfry.job("disabled", http_task(far_end), hourly())
        path = f"/api/v1/jobs/{job['id']}"
        belfry.api("POST", path + "/disable", expect=200)
        move_back(belfry, job, "disabled_at", 3)
        assert explain(belfry, job, last_hours(1))["cause"]["kind"] == "disabled", "from the job"
        assert explain(belfry, job, last_hours(-1))["cause"]["kind"] == "disabled"
        belfry.api("POST", path + "/enable", expect=200)
        why = explain(belfry, job, last_hours(1))
        assert (why["outcome"], why["cause"]["kind"]) == ("NOT_RUN", "disabled"), "from the gap"
        assert why["gap_fires"] == 3


def test_edited_before_it_was_planned(far_end):
    with Belfry() as belfry:
        job = belfry.job("edited", http_task(far_end), hourly())
        with stopped_store(belfry) as db:
            # fires that are due, of a shard that the scheduler does not look at: nothing plans them
            db.execute("UPDATE job_version SET valid_from = 0 WHERE job_id = ?", (job["id"],))
            db.execute("UPDATE job SET shard = 1000, next_fire_at = next_fire_at - 7200000 "
                       "WHERE id = ?", (job["id"],))
        body = {"group": "default", "name": "edited", "task": http_task(far_end),
                "schedule": YEARLY}
        belfry.api("PUT", f"/api/v1/jobs/{job['id']}", body, headers={"If-Match": '"1"'},
                   expect=200)
        why = explain(belfry, job, last_hours(1))
        assert (why["outcome"], why["cause"]["kind"]) == ("NOT_RUN", "edited")


def test_times_without_a_fire(belfry, far_end):
    job = belfry.job("no-fire", http_task(far_end), YEARLY)
    why = explain(belfry, job, "2100-01-02T03:00:00Z")
    assert (why["outcome"], why["cause"]["kind"]) == ("NO_FIRE", "not_scheduled")
    assert why["next_fire_at"] == "2101-01-01T03:00:00Z"
    assert why["previous_fire_at"] == "2100-01-01T03:00:00Z"
    why = explain(belfry, job, "2001-01-01T03:00:00Z")
    assert (why["outcome"], why["cause"]["kind"]) == ("NO_FIRE", "before_creation")
    belfry.api("GET", "/api/v1/jobs/999999/why", expect=404)
    belfry.api("GET", f"/api/v1/jobs/{job['id']}/why?at=yesterday", expect=400)


def test_the_lists_are_closed():
    """Every state that ends a run and every cause in the source was produced above."""
    source = (TOP / "src/scheduler/run.c").read_text()
    causes = set(re.findall(r'\[CAUSE_\w+\] = "(\w+)"', source))
    assert causes - {cause for _, cause in produced} == set()
    states = {state for state, _ in produced}
    assert set(Belfry.TERMINAL) - states == set()
