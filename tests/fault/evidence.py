"""What the checkers read: the effect ledger, and the store of a server that is stopped."""
import bisect
import collections
import contextlib
import dataclasses
import json
import pathlib
import sqlite3

from fires import milliseconds, schedule_of

# The numbers of src/scheduler/run.h, which are stored and never change.
PLANNED, WAITING, READY, DISPATCHED, RUNNING, RETRY_WAIT = range(1, 7)
SUCCEEDED, FAILED, TIMED_OUT, CANCELLED, SKIPPED, SHED, UNKNOWN = range(10, 17)
TERMINAL = frozenset(range(10, 17))
CAUSE_LOST = 33


@dataclasses.dataclass(frozen=True)
class Effect:
    """One record of the ledger. token is 0 where the task was not told (http)."""
    run: int
    job: str
    fire_at: int
    attempt: int
    token: int
    phase: str
    real_ns: int
    mono_ns: int
    source: str

    @classmethod
    def parse(cls, line):
        run, job, fire, attempt, token, phase, real_ns, mono_ns, source = line.split()
        return cls(int(run), job, milliseconds(fire), int(attempt), 0 if token == "-" else int(token),
                   phase, int(real_ns), int(mono_ns), source)


def ledger_read(*paths):
    """All records. None is cut short: each is written at once and within one page."""
    return [Effect.parse(line) for path in paths
            for line in pathlib.Path(path).read_text().splitlines()]


@dataclasses.dataclass
class Version:
    """A job's definition while it was valid: for fires in (valid_from, valid_to]."""
    version: int
    schedule_version: int
    definition: dict
    valid_from: int
    valid_to: int = 0   # of the next version; 0: the newest


@dataclasses.dataclass
class Run:
    id: int
    job_id: int
    fire_at: int
    fire_key: str
    state: int
    attempt: int
    token: int
    job_version: int
    schedule_version: int
    live: int
    cause: int
    started_at: int
    exit_code: int = None
    message: str = None


@dataclasses.dataclass
class Attempt:
    run_id: int
    attempt: int
    token: int
    state: int
    cause: int


@dataclasses.dataclass
class Gap:
    job_id: int
    from_at: int
    to_at: int
    fires: int
    cause: int
    schedule_version: int


class Store:
    """The rows by themselves: tests build one by hand, Store.read() takes it from a file."""

    def __init__(self):
        self.jobs = {}                                  # id → version
        self.versions = collections.defaultdict(list)   # job id → [Version], oldest first
        self.runs = {}                                  # id → Run
        self.attempts = collections.defaultdict(list)   # run id → [Attempt]
        self.gaps = collections.defaultdict(list)       # job id → [Gap]
        self.problems = []                              # of PRAGMA integrity_check

    @classmethod
    def read(cls, path):
        store = cls()
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            store.problems = [row[0] for row in db.execute("PRAGMA integrity_check")
                              if row[0] != "ok"]
            store.jobs = dict(db.execute("SELECT id, version FROM job"))
            for job_id, *row in db.execute(
                    "SELECT job_id, version, schedule_version, definition, valid_from "
                    "FROM job_version ORDER BY job_id, version"):
                store.add_version(job_id, Version(row[0], row[1], json.loads(row[2]), row[3]))
            for row in db.execute(
                    "SELECT id, job_id, fire_at, fire_key, state, attempt, token, job_version, "
                    "schedule_version, COALESCE(live, 0), cause, COALESCE(started_at, 0), "
                    "exit_code, message FROM run"):
                store.runs[row[0]] = Run(*row)
            for row in db.execute("SELECT run_id, attempt, token, state, cause FROM attempt "
                                  "ORDER BY run_id, attempt, token"):
                store.attempts[row[0]].append(Attempt(*row))
            for row in db.execute("SELECT job_id, from_at, to_at, fires, cause, schedule_version "
                                  "FROM fire_gap"):
                store.gaps[row[0]].append(Gap(*row))
        return store

    def add_version(self, job_id, version):
        if self.versions[job_id]:
            self.versions[job_id][-1].valid_to = version.valid_from
        self.versions[job_id].append(version)

    def job_name(self, job_id):
        newest = self.versions[job_id][-1].definition
        return f"{newest['group']}/{newest['name']}"

    def version(self, job_id, version):
        return next((v for v in self.versions[job_id] if v.version == version), None)

    def schedule_window(self, job_id, schedule_version):
        """(schedule, from, to) of all versions with this schedule version; to 0: still valid."""
        span = [v for v in self.versions[job_id] if v.schedule_version == schedule_version]
        if not span:
            return None
        return schedule_of(span[0].definition["schedule"]), span[0].valid_from, span[-1].valid_to

    def gap_at(self, job_id, at):
        return next((gap for gap in self.gaps[job_id] if gap.from_at <= at <= gap.to_at), None)


class Lookup:
    """Effects by run, in order of time."""

    def __init__(self, effects):
        self.by_run = collections.defaultdict(list)
        for effect in effects:
            bisect.insort(self.by_run[effect.run], effect, key=lambda e: e.mono_ns)

    def starts(self, run_id):
        return [effect for effect in self.by_run.get(run_id, ()) if effect.phase == "START"]

    def ends(self, run_id):
        return [effect for effect in self.by_run.get(run_id, ()) if effect.phase == "END"]
