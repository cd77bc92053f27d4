"""Tasks end to end: what is refused at save, scripts and far ends that misbehave, kill -9."""
import os
import pathlib
import signal
import time

import pytest

from belfry import Belfry, wait_for

# Forks away twice, has sessions of its own, hears neither TERM nor HUP.
NASTY = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
for i in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(99)
        os._exit(0)
print('here we are', flush=True)
time.sleep(99)
"""


def processes_of(run_id):
    """Processes on this machine that descend from the run's script, by the mark in their environment."""
    mark = f"BELFRY_RUN_ID={run_id}".encode()
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            pass  # gone, or not ours to look at
    return found


def script(text, interpreter="python3", **members):
    return {"script": {"interpreter": interpreter, "script": text, **members}}


def create(belfry, task, **members):
    return belfry.api("POST", "/api/v1/jobs", {
        "group": "default", "name": f"t{time.monotonic_ns()}", "schedule": {"manual": {}},
        "task": task, **members})


@pytest.mark.parametrize("task, path, pos", [
    ({"http": {"url": "ftp://example.com/"}}, "task.http.url", None),
    ({"http": {"url": "http://h/${nobody}"}}, "task.http.url", 10),
    ({"http": {"url": "http://h/${fire_date-1y}"}}, "task.http.url", 10),
    ({"http": {"url": "http://h/", "headers": [{"name": "X Y", "value": "1"}]}},
     "task.http.headers[0].name", None),
    ({"http": {"url": "http://h/", "headers": [{"name": "Idempotency-Key", "value": "1"}]}},
     "task.http.headers[0].name", None),
    ({"http": {"url": "http://h/", "headers": [{"name": "X", "value": "a\r\nb"}]}},
     "task.http.headers[0].value", None),
    ({"http": {"url": "http://h/", "redirects": 11}}, "task.http.redirects", None),
    ({"http": {"url": "http://h/", "timeout": {"connect_ms": -1}}},
     "task.http.timeout.connect_ms", None),
    ({"http": {"url": "http://h/", "success": {"status": ["2xx"]}}},
     "task.http.success.status[0]", None),
    ({"http": {"url": "http://h/", "success": {"text": {"matches": "(a"}}}},
     "task.http.success.text.matches", None),
    ({"http": {"url": "http://h/", "success": {"json": [{"pointer": "a", "op": "exists"}]}}},
     "task.http.success.json[0].pointer", None),
    ({"http": {"url": "http://h/", "wrong": 1}}, "task.http.wrong", None),
    (script("true", "ruby"), "task.script.interpreter", None),
    (script("true", "/bin/sh"), "task.script.interpreter", None),
    (script("true", "sh", args=["a", "${nobody}"]), "task.script.args[1]", 1),
    (script("true", "sh", env=[{"name": "BELFRY_TOKEN", "value": "1"}]),
     "task.script.env[0].name", None),
    (script("true", "sh", cwd="relative"), "task.script.cwd", None),
    (script("true", "sh", limits={"memory": 1}), "task.script.limits.memory", None),
    (script(" ", "sh"), "task.script.script", None),
])
def test_what_cannot_be_carried_out_is_refused_at_save(belfry, task, path, pos):
    answer = create(belfry, task)
    assert answer.status == 400, answer
    assert answer.json["path"] == path, answer
    if pos:
        assert answer.json["pos"] == pos, answer


def test_stop_ends_a_script_that_does_not_want_to(belfry):
    run_id = belfry.run(belfry.job("stubborn", script(NASTY)))
    belfry.wait_run(run_id, ("RUNNING",))
    wait_for(lambda: len(processes_of(run_id)) >= 4, "the script and its descendants")
    belfry.api("POST", f"/api/v1/runs/{run_id}/stop", {}, expect=(200, 202, 204))
    run = belfry.wait_run(run_id)
    assert (run["state"], run["cause"]["kind"]) == ("CANCELLED", "stopped")
    assert processes_of(run_id) == []


def test_timeout_ends_the_whole_tree(belfry):
    run_id = belfry.run(belfry.job("late", script(NASTY), timeout_ms=500))
    run = belfry.wait_run(run_id)
    assert (run["state"], run["cause"]["kind"]) == ("TIMED_OUT", "timeout")
    assert processes_of(run_id) == []


@pytest.mark.parametrize("name, text, limits, cause", [
    ("bomb", "f() { f | f & }; f; sleep 30", {"processes": 40}, "processes"),
    ("memory", "exec python3 -c 'a = []\nwhile True: a.append(bytearray(1 << 20))'",
     {"memory": 64 << 20}, "memory"),
    ("print", "yes | head -c 10000000000", {"output": 100 << 20}, "output_limit"),
    ("default-bomb", "f() { f | f & }; f; sleep 30", {}, "processes"),
    ("default-memory", "exec python3 -c 'a = []\nwhile True: a.append(bytearray(1 << 24))'", {},
     "memory"),
])
def test_greedy_scripts_have_one_outcome_and_neighbours_are_not_late(belfry, sink, name, text,
                                                                     limits, cause):
    ticker = belfry.job(f"neighbour-{name}", {"http": {"url": sink.url}},
                        schedule={"every": {"interval_ms": 1000}})
    greedy = belfry.job(f"greedy-{name}", script(text, "bash", **({"limits": limits} if limits else {})))
    sink.wait_for(lambda requests: len(requests) >= 2, "the neighbour's first fires")
    before = belfry.pss_kib()
    run_id = belfry.run(greedy)
    run = belfry.wait_run(run_id, timeout=90)
    assert (run["state"], run["cause"]["kind"], run["attempt"]) == ("FAILED", cause, 1), run
    assert processes_of(run_id) == []
    assert belfry.pss_kib() - before < 24 * 1024, "memory is flat"
    seen = len(sink.requests)
    sink.wait_for(lambda requests: len(requests) >= seen + 2, "fires afterwards")
    gaps = [(b.ns - a.ns) / 1e9 for a, b in zip(sink.requests, sink.requests[1:])]
    assert max(gaps) < 3, gaps
    belfry.api("DELETE", f"/api/v1/jobs/{ticker['id']}",
               headers={"If-Match": f'"{ticker["version"]}"'})


def test_kill9_leaves_nobody_and_the_run_is_tried_again():
    with Belfry() as belfry:
        run_id = belfry.run(belfry.job("orphan", script(NASTY, env=[]), timeout_ms=60000))
        belfry.wait_run(run_id, ("RUNNING",))
        wait_for(lambda: len(processes_of(run_id)) >= 4, "the script and its descendants")
        belfry.kill9()
        wait_for(lambda: processes_of(run_id) == [], "the descendants to end", timeout=2)
        belfry.start()

        def second_attempt():
            run = belfry.api("GET", f"/api/v1/runs/{run_id}", expect=200).json
            return run if run["attempt"] == 2 and run["state"] == "RUNNING" else None
        run = wait_for(second_attempt, "the second attempt", timeout=40)
        assert run["attempts"][0]["cause"]["kind"] == "lost"
        belfry.api("POST", f"/api/v1/runs/{run_id}/stop", {}, expect=(200, 202, 204))
        assert belfry.wait_run(run_id)["state"] == "CANCELLED"
        assert processes_of(run_id) == []


def test_launcher_killed_ends_the_process_with_one_line():
    with Belfry() as belfry:
        children = pathlib.Path(f"/proc/{belfry.process.pid}/task/{belfry.process.pid}/children")
        launchers = [int(pid) for pid in children.read_text().split()
                     if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "belfry-launch"]
        assert len(launchers) == 1
        os.kill(launchers[0], signal.SIGKILL)
        assert belfry.process.wait(10) == 69
        assert belfry.log().count("the launcher has died") == 1


def test_sigterm_waits_for_what_runs_and_nobody_is_left():
    with Belfry() as belfry:
        run_id = belfry.run(belfry.job("short", script("import time; time.sleep(2); print('{\"a\": 1}')")))
        belfry.wait_run(run_id, ("RUNNING",))
        assert belfry.stop() == 0
        assert processes_of(run_id) == []
        belfry.start()
        run = belfry.wait_run(run_id)
        assert (run["state"], run["output"], run["attempt"]) == ("SUCCEEDED", {"a": 1}, 1), run


def test_interpreters_are_those_of_the_configuration():
    with Belfry(settings={"execute.interpreters": "dash=/bin/dash, py=/usr/bin/python3"}) as belfry:
        answer = create(belfry, script("true", "sh"))
        assert (answer.status, answer.json["path"]) == (400, "task.script.interpreter")
        assert "dash, py" in answer.json["detail"]
        run = belfry.wait_run(belfry.run(belfry.job("named", script("exit 7", "dash"))))
        assert (run["state"], run["exit_code"]) == ("FAILED", 7)
    with pytest.raises(AssertionError, match="belfry ended with 78"):
        with Belfry(settings={"execute.interpreters": "dash"}):
            pass
