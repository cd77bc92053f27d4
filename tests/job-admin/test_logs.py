"""Logs of runs: ranges, search, live tail with resume, limits."""
import http.client
import json

import pytest

from belfry import Belfry, wait_for


def script(belfry, name, text, **members):
    return belfry.job(name, {"script": {"interpreter": "python3", "script": text}}, **members)


def whole_log(belfry, run_id, query=""):
    def complete():
        page = belfry.api("GET", f"/api/v1/runs/{run_id}/log?limit=10000{query}", expect=200).json
        return page if page["complete"] else None
    return wait_for(complete, "the whole log")


def own_lines(page):
    return [line for line in page["items"] if line["stream"] in ("stdout", "stderr")]


def test_range_and_search(belfry):
    job = script(belfry, "lines", "for i in range(1000): print('line', i, '行')")
    run_id = belfry.run(job)
    belfry.wait_run(run_id)
    lines = whole_log(belfry, run_id)["items"]
    texts = [line["text"] for line in lines]
    assert texts[:1000] == [f"line {i} 行" for i in range(1000)]
    assert [line["line"] for line in lines] == list(range(1, len(lines) + 1))
    page = belfry.api("GET", f"/api/v1/runs/{run_id}/log?from_line=500&limit=3", expect=200).json
    assert [line["line"] for line in page["items"]] == [500, 501, 502]
    assert page["next_line"] == 503
    found = whole_log(belfry, run_id, "&search=99%20")["items"]
    assert [line["text"] for line in found] == [
        f"line {i} 行" for i in range(1000) if str(i).endswith("99")]
    belfry.api("GET", f"/api/v1/runs/{run_id}/log?limit=0", expect=400)
    belfry.api("GET", "/api/v1/runs/1/log", expect=404)


def test_a_run_without_lines_has_an_empty_log(belfry):
    job = script(belfry, "silent", "pass")
    run_id = belfry.run(job)
    belfry.wait_run(run_id)
    page = belfry.api("GET", f"/api/v1/runs/{run_id}/log", expect=200).json
    assert page["items"] == [] and page["dropped"] == 0


def test_log_over_its_limit_is_cut_and_counted(belfry):
    job = script(belfry, "flood", "for i in range(20000): print('x' * 99)", log_max=100_000)
    run_id = belfry.run(job)
    run = belfry.wait_run(run_id)
    assert run["state"] == "SUCCEEDED", "a log that is too long is no failure"
    assert run["log_dropped"] > 1_000_000 and run["log_bytes"] <= 200_000
    page = whole_log(belfry, run_id)
    assert page["dropped"] == run["log_dropped"]


def test_bytes_that_are_no_text(belfry):
    job = script(belfry, "bytes", r"import sys; sys.stdout.buffer.write(b'a\xff\x00b\x1b[31mc\r\nd')")
    run_id = belfry.run(job)
    belfry.wait_run(run_id)
    texts = [line["text"] for line in own_lines(whole_log(belfry, run_id))]
    assert len(texts) == 2 and texts[1] == "d"
    assert "\x00" not in texts[0] and "\x1b" not in texts[0] and texts[0].startswith("a")


class Tail:
    """A reader of Server-Sent Events."""

    def __init__(self, belfry, run_id, last_id=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", belfry.port, timeout=30)
        headers = {"Authorization": f"Bearer {belfry.key}", "Accept": "text/event-stream"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        self.connection.request("GET", f"/api/v1/runs/{run_id}/log/stream", headers=headers)
        self.response = self.connection.getresponse()
        assert self.response.status == 200
        assert self.response.headers["Content-Type"].startswith("text/event-stream")

    def event(self):
        event = {"data": ""}
        while True:
            line = self.response.readline().decode().rstrip("\n")
            if not line and (event["data"] or "event" in event):
                return event
            if line and not line.startswith(":"):
                name, _, value = line.partition(":")
                event[name] = (event.get(name, "") + value.lstrip(" "))

    def close(self):
        self.connection.close()


def test_live_tail_and_resume(belfry, tmp_path):
    gate = tmp_path / "gate"
    job = script(belfry, "tail", f"""
import os, time
for i in range(3): print('before', i, flush=True)
while not os.path.exists({str(gate)!r}): time.sleep(0.02)
for i in range(3): print('after', i, flush=True)
""")
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.stat().st_mode & 0o077 == 0 and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)  # the script runs as another user
    run_id = belfry.run(job)
    tail = Tail(belfry, run_id)
    events = [tail.event() for _ in range(3)]
    assert [json.loads(event["data"])["text"] for event in events] == [
        "before 0", "before 1", "before 2"], "while it runs"
    last_id = events[1]["id"]
    tail.close()
    gate.write_text("")
    tail = Tail(belfry, run_id, last_id)
    texts = []
    while (event := tail.event())["event"] == "line":
        texts.append(json.loads(event["data"])["text"])
    assert texts[:4] == ["before 2", "after 0", "after 1", "after 2"], "from where it was left"
    assert event["event"] == "end"


def test_tail_of_a_run_that_ended_long_ago_ends(belfry):
    job = script(belfry, "old", "print('only')")
    run_id = belfry.run(job)
    belfry.wait_run(run_id)
    tail = Tail(belfry, run_id)
    assert json.loads(tail.event()["data"])["text"] == "only"
    while (event := tail.event())["event"] == "line":
        pass
    assert event["event"] == "end"
