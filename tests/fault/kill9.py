"""One process of Belfry under load, killed with -9 again and again; then it drains, and the
checkers compare what happened with what it says.
"""
import dataclasses
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import time
import uuid

import checkers
from belfry import BUILD, Belfry
from evidence import Store, ledger_read
from workload import Client, Tasks, core_jobs

CLIENTS = 3
LIVE_STATES = ("WAITING", "READY", "DISPATCHED", "RUNNING", "RETRY_WAIT")
STUCK_S = 30            # longer than any lease, backoff or timeout of these jobs
ORPHANS_GONE_S = 10     # a script whose executor is dead: its supervisor ends it at once
RECOVERY_KILLS = 0.2   # so many rounds end while the one before is being recovered from


@dataclasses.dataclass
class Result:
    violations: list
    fires: int      # checked by K3
    starts: int     # in the ledger
    runs: int
    retried: int    # attempts that were followed by another
    writes: int     # acknowledged
    unanswered: int # requests that a kill cut off
    seconds: float

    def __str__(self):
        return (f"{self.fires} fires checked, {self.runs} runs, {self.starts} starts in the ledger, "
                f"{self.retried} attempts tried again, {self.writes} acknowledged writes, "
                f"{self.unanswered} requests without an answer, {self.seconds:.0f} s: "
                f"{len(self.violations)} violations")


def processes_with(mark):
    """{pid: start time} of those whose environment or command line holds the mark."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            text = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # gone, or another user's
        if mark.encode() in text and stat[0] != "Z":
            found[int(entry.name)] = stat[19]
    return found


class Sink:
    """bench/sink with a ledger: a process of its own, so that it dies with nobody."""

    def __init__(self, ledger=None):
        command = [BUILD / "bench" / "sink"] + (["--ledger", ledger] if ledger else [])
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Trial:
    def __init__(self, seed, folder):
        self.seed, self.folder = seed, folder
        self.random = random.Random(seed)
        self.mark = f"belfry-fault-{uuid.uuid4().hex}"
        self.acknowledged = checkers.Acknowledged()
        self.orphans = []
        # scripts run as nobody where we are root: they must reach the ledger and what writes it
        folder.chmod(0o711)
        self.ledger, self.program = folder / "ledger", folder / "append"
        self.ledger.touch()
        self.ledger.chmod(0o666)
        shutil.copy(BUILD / "tests" / "fault" / "ledger", self.program)
        self.program.chmod(0o755)
        self.sink = Sink(self.ledger)
        self.belfry = Belfry(data=folder / "data", ready=False, settings={
            "http.access_log": "false", "log.level": "warn", "execute.script_slots": "64"})

    def close(self):
        self.belfry.close()
        self.sink.close()

    # --- before ---------------------------------------------------------------------------------------

    def set_up(self):
        self.belfry.start()
        self.belfry.wait_ready()
        self.belfry.set_up()
        tasks = Tasks(self.sink.url, self.program, self.ledger, self.mark)
        for body in core_jobs(tasks):
            job = self.belfry.api("POST", "/api/v1/jobs", body, expect=201).json
            self.acknowledged.writes.append((job["id"], job["version"], None))
        self.clients = [Client(f"client-{i}", f"{self.seed}/{i}", self.belfry.port, self.belfry.key,
                               tasks, self.acknowledged) for i in range(CLIENTS)]

    # --- rounds ---------------------------------------------------------------------------------------

    def up_time(self):
        if self.random.random() < RECOVERY_KILLS:
            return self.random.uniform(0.005, 0.05)
        return self.random.uniform(0.4, 1.6)

    def round(self):
        """The moment of the kill is what the seed decides; nothing is waited for here."""
        time.sleep(self.up_time())
        code = self.belfry.process.poll()
        if code is not None:
            raise AssertionError(f"belfry ended by itself with {code}:\n{self.belfry.log()[-3000:]}")
        for client in self.clients:
            if client.failure:
                raise client.failure
        old = processes_with(self.mark)
        self.belfry.kill9()
        self.belfry.start()
        self.orphans.append((time.monotonic() + ORPHANS_GONE_S, old))
        self.orphans_check()

    def orphans_check(self):
        """No script outlives its executor by more than some seconds."""
        now = time.monotonic()
        due = [old for end, old in self.orphans if end <= now]
        self.orphans = [item for item in self.orphans if item[0] > now]
        if due:
            there = processes_with(self.mark)
            for old in due:
                left = {pid for pid, start in old.items() if there.get(pid) == start}
                assert not left, f"scripts of a killed server still run: {left}"

    # --- after ----------------------------------------------------------------------------------------

    def live_runs(self):
        return sum(len(self.belfry.api("GET", f"/api/v1/runs?state={state}&limit=1",
                                       expect=200).json["items"]) for state in LIVE_STATES)

    def planned_runs(self):
        return len(self.belfry.api("GET", "/api/v1/runs?state=PLANNED&limit=1",
                                   expect=200).json["items"])

    def drain(self):
        """Every job is disabled, which is an acknowledged write, too; then all runs must end."""
        self.belfry.wait_ready()
        for client in self.clients:
            client.finish()
        for job in self.belfry.items("/api/v1/jobs?limit=500"):
            answer = self.belfry.api("POST", f"/api/v1/jobs/{job['id']}/disable", expect=200).json
            self.acknowledged.writes.append((job["id"], answer["version"], None))
        self.wait_end()
        assert self.belfry.stop() == 0, self.belfry.log()[-3000:]

    def wait_end(self):
        """Until no run is open; on a slow machine for as long as they go on ending."""
        ended, since = -1, time.monotonic()
        while self.live_runs() or self.planned_runs():
            now_ended = self.belfry.metrics()["belfry_scheduler_ended_total"]
            if now_ended != ended:
                ended, since = now_ended, time.monotonic()
            assert time.monotonic() < since + STUCK_S, self.open_runs()
            time.sleep(0.2)

    def open_runs(self):
        runs = [run for state in (*LIVE_STATES, "PLANNED")
                for run in self.belfry.api("GET", f"/api/v1/runs?state={state}&limit=5").json["items"]]
        return f"no run has ended for {STUCK_S} s and these are open: {runs}"

    def left_over(self):
        """Processes that are there though nothing should run: given some seconds to be gone."""
        end = time.monotonic() + 5
        while time.monotonic() < end:
            there = set(processes_with(self.mark)) | set(processes_with(str(self.folder / "data")))
            there.discard(self.sink.process.pid)
            if not there:
                return []
            time.sleep(0.05)
        return sorted(there)

    def judge(self, started):
        checkers.acknowledged_save(self.acknowledged, self.folder / "acknowledged")
        store = Store.read(self.belfry.data / "belfry.db")
        effects = ledger_read(self.ledger)
        violations, fires = checkers.check_all(store, effects, self.acknowledged, self.left_over())
        return Result(violations, fires, sum(e.phase == "START" for e in effects), len(store.runs),
                      sum(map(len, store.attempts.values())),
                      len(self.acknowledged.writes) + len(self.acknowledged.requests) +
                      len(self.acknowledged.deleted),
                      sum(client.counts["lost"] for client in self.clients),
                      time.monotonic() - started)


def trial(seed, rounds, fires_wanted=0, folder=None, progress=lambda text: None):
    """Runs it and returns a Result. folder: kept for `checkers.py FOLDER`; none: a scratch one.
    Goes on past the rounds until so many fires must have been due."""
    started = time.monotonic()
    kept = folder is not None
    folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="belfry-fault-"))
    folder.mkdir(exist_ok=True)
    one = Trial(seed, folder)
    try:
        one.set_up()
        begun = time.monotonic()
        for client in one.clients:
            client.start()
        number = 0
        while number < rounds or (time.monotonic() - begun) * 200 < fires_wanted:
            one.round()
            number += 1
            if number % 20 == 0:
                progress(f"round {number}, {time.monotonic() - started:.0f} s")
        progress(f"{number} rounds done, draining")
        one.drain()
        return one.judge(started)
    finally:
        one.close()
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


def repeat_line(seed, rounds):
    return f"tests/fault/run --seed {seed} --rounds {rounds}"
