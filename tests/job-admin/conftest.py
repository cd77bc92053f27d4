"""A sink whose answers a test chooses by path, and the database behind a stopped server."""
import contextlib
import sqlite3
import threading

import pytest

from belfry import Belfry, Sink


class Answers:
    """/ok, /status/N, /json, /large, /redirect, /slow (until release() is called)."""

    def __init__(self):
        self.released = threading.Event()

    def release(self):
        self.released.set()

    def __call__(self, request):
        path = request.path.split("?")[0]
        if path.startswith("/status/"):
            return int(path.split("/")[2]), {}, "as asked for"
        if path == "/json":
            return 200, {"Content-Type": "application/json"}, '{"state": "late", "rows": 3}'
        if path == "/large":
            return 200, {}, "x" * 200_000
        if path == "/redirect":
            return 302, {"Location": "/redirect"}, ""
        if path == "/slow":
            self.released.wait(60)
        return 200, {}, "ok"


@pytest.fixture
def answers():
    answers = Answers()
    yield answers
    answers.release()


@pytest.fixture
def far_end(answers):
    with Sink(answers) as sink:
        yield sink


@contextlib.contextmanager
def stopped_store(belfry):
    """The SQLite file of a server that is stopped for as long as the block lasts."""
    belfry.stop()
    with contextlib.closing(sqlite3.connect(belfry.data / "belfry.db")) as db:
        with db:
            yield db
    belfry.start()


def overdue(belfry, job, seconds):
    """Makes the job's next fire lie in the past, as after a stop of so many seconds."""
    with stopped_store(belfry) as db:
        db.execute("UPDATE job_version SET valid_from = 0 WHERE job_id = ?", (job["id"],))
        db.execute("DELETE FROM run WHERE job_id = ? AND live = 1", (job["id"],))
        changed = db.execute("UPDATE job SET next_fire_at = next_fire_at - ? WHERE id = ?",
                             (seconds * 1000, job["id"])).rowcount
        assert changed == 1


def http_task(far_end, path="/ok", **members):
    return {"http": {"url": far_end.url + path, **members}}
