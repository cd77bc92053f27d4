"""Each checker catches the violation that is planted for it, and says nothing of a history that is
in order: a checker that cannot fail proves nothing."""
import copy
import sqlite3
import subprocess
import sys

import pytest

import checkers
from checkers import Acknowledged
from evidence import (CANCELLED, CAUSE_LOST, FAILED, READY, SKIPPED, SUCCEEDED, UNKNOWN, Attempt,
                      Effect, Gap, Run, Store, Version)
from fires import milliseconds, schedule_of

START = milliseconds("2026-11-25T10:00:00Z")
SECOND = 1000
ENDED = START + 10 * SECOND


def definition(enabled=True, promise="at_least_once", overlap="skip", description=None, interval=SECOND):
    return {"group": "default", "name": "job", "enabled": enabled, "promise": promise,
            "description": description, "overlap": {"policy": overlap}, "retry": {"max": 0},
            "schedule": {"every": {"interval_ms": interval, "start": "2026-11-25T10:00:00Z"}},
            "task": {"script": {"interpreter": "sh"}}}


def effect(run, phase, offset_ms=5, **members):
    real_ns = (run.fire_at + offset_ms) * 1_000_000
    return Effect(**{"run": run.id, "job": "default/job", "fire_at": run.fire_at,
                     "attempt": run.attempt, "token": run.token, "phase": phase,
                     "real_ns": real_ns, "mono_ns": real_ns, "source": "script", **members})


class History:
    """A job that fires every second from START until it is disabled at ENDED: fires 1 to 10. Fire 3
    was lost and tried again, 5 and 6 lie in a gap, 7 was skipped."""

    def __init__(self, **members):
        self.store, self.effects = Store(), []
        self.acknowledged = Acknowledged(writes=[(1, 1, "first"), (1, 2, None)],
                                         requests={(1, "r"): 100})
        self.store.jobs[1] = 2
        self.store.add_version(1, Version(1, 1, definition(description="first", **members), START))
        self.store.add_version(1, Version(2, 2, definition(False, description="first", **members),
                                          ENDED))
        for number in (1, 2, 3, 4, 7, 8, 9, 10):
            self.run(number, number, START + number * SECOND, SKIPPED if number == 7 else SUCCEEDED)
        self.store.gaps[1].append(Gap(1, START + 5 * SECOND, START + 6 * SECOND, 2, 62, 1))
        self.run(100, 4, START + 4 * SECOND + 321, SUCCEEDED, "manual:r")
        self.lose(self.store.runs[3])

    def run(self, run_id, number, fire_at, state, key=""):
        run = Run(run_id, 1, fire_at, key, state, 1, 1, 1, 1, 0, 20, fire_at)
        if state == SKIPPED:
            run.attempt = run.token = run.job_version = 0
            run.cause = 50
        else:
            self.effects += [effect(run, "START"), effect(run, "END", 50)]
        self.store.runs[run_id] = run

    def lose(self, run):
        """Its first attempt began and was lost; the second one came to an end."""
        self.effects = [e for e in self.effects if e.run != run.id] + [effect(run, "START")]
        self.store.attempts[run.id].append(Attempt(run.id, 1, 1, UNKNOWN, CAUSE_LOST))
        run.attempt = run.token = 2
        self.effects += [effect(run, "START", 200), effect(run, "END", 250)]

    def check(self, processes=()):
        return checkers.check_all(self.store, self.effects, self.acknowledged, processes)


def test_history_in_order():
    violations, fires = History().check()
    assert violations == [] and fires == 10


def drop_effects(history, run_id, phase=None):
    history.effects = [e for e in history.effects
                       if e.run != run_id or (phase and e.phase != phase)]


def plant_run_row_lost(history):
    del history.store.runs[8]


def plant_unknown_effect(history):
    run = copy.copy(history.store.runs[9])
    run.id = 999
    history.effects.append(effect(run, "START"))


def plant_second_start(history):
    history.effects.append(effect(history.store.runs[8], "START", 70))


def plant_attempt_not_granted(history):
    history.effects.append(effect(history.store.runs[8], "START", 70, attempt=2, token=2))


def plant_no_cause(history):
    history.store.attempts[3][0].cause = 0


def plant_no_attempt_row(history):
    del history.store.attempts[3]


def plant_success_without_effect(history):
    drop_effects(history, 8)


def plant_success_without_end(history):
    drop_effects(history, 8, "END")


def plant_skipped_began(history):
    history.effects.append(effect(history.store.runs[7], "START", attempt=0, token=0))


def plant_early(history):
    drop_effects(history, 8)
    history.effects += [effect(history.store.runs[8], "START", -20),
                        effect(history.store.runs[8], "END")]


def plant_wrong_fire(history):
    history.effects.append(effect(history.store.runs[8], "END", fire_at=START + 1))


def plant_illegal_fire(history):
    history.store.runs[8].fire_at += 500
    drop_effects(history, 8)
    history.effects += [effect(history.store.runs[8], "START"), effect(history.store.runs[8], "END")]


def plant_fire_after_disabled(history):
    history.run(11, 11, START + 19 * SECOND, SUCCEEDED)


def plant_tokens_shrink(history):
    history.store.runs[3].token = 1
    history.effects = [e for e in history.effects if e.run != 3 or e.token < 2]


def plant_missing(history):
    del history.store.runs[8]
    drop_effects(history, 8)


def plant_not_terminal(history):
    history.store.runs[8].state = READY
    drop_effects(history, 8)


def plant_decided_twice(history):
    history.run(88, 8, START + 8 * SECOND, SUCCEEDED)


def plant_run_in_gap(history):
    history.run(5, 5, START + 5 * SECOND, SUCCEEDED)


def plant_gap_miscounts(history):
    history.store.gaps[1][0].fires = 3


def plant_gap_too_long(history):
    history.store.gaps[1][0].to_at += 1


def plant_overlap(history):
    drop_effects(history, 8, "START")
    history.effects = [e for e in history.effects if e.run != 8]
    history.effects += [effect(history.store.runs[8], "START"),
                        effect(history.store.runs[8], "END", 1500)]


def plant_write_lost(history):
    history.acknowledged.writes.append((1, 3, "third"))


def plant_write_other_text(history):
    history.acknowledged.writes.append((1, 2, "second"))


def plant_job_lost(history):
    history.acknowledged.writes.append((2, 1, None))


def plant_deleted_is_back(history):
    history.acknowledged.deleted[1] = ENDED


def plant_request_lost(history):
    del history.store.runs[100]
    drop_effects(history, 100)


def plant_request_twice(history):
    history.run(101, 4, START + 4 * SECOND + 400, SUCCEEDED, "manual:r")


def plant_live_row(history):
    history.store.runs[8].live = 1


def plant_damage(history):
    history.store.problems.append("row 3 missing from index run_live")


def plant_failure(history):
    history.store.runs[8].state, history.store.runs[8].cause = FAILED, 32


def plant_cancelled(history):
    history.store.runs[8].state, history.store.runs[8].cause = CANCELLED, 34


@pytest.mark.parametrize("plant, checker", [
    (plant_run_row_lost, "K2"), (plant_unknown_effect, "K2"), (plant_second_start, "K2"),
    (plant_attempt_not_granted, "K2"), (plant_no_cause, "K2"), (plant_no_attempt_row, "K2"),
    (plant_success_without_effect, "K2"), (plant_success_without_end, "K2"),
    (plant_skipped_began, "K2"), (plant_early, "K2"), (plant_wrong_fire, "K2"),
    (plant_illegal_fire, "K2"), (plant_fire_after_disabled, "K2"), (plant_tokens_shrink, "K2"),
    (plant_missing, "K3"), (plant_not_terminal, "K3"), (plant_decided_twice, "K3"),
    (plant_run_in_gap, "K3"), (plant_gap_miscounts, "K3"), (plant_gap_too_long, "K3"),
    (plant_overlap, "K5"), (plant_write_lost, "K8"), (plant_write_other_text, "K8"),
    (plant_job_lost, "K8"), (plant_deleted_is_back, "K8"), (plant_request_lost, "K8"),
    (plant_request_twice, "K8"), (plant_live_row, "K10"), (plant_damage, "K10"),
    (plant_failure, "outcome"), (plant_cancelled, "outcome"),
], ids=lambda value: getattr(value, "__name__", value))
def test_planted_violation_is_caught(plant, checker):
    history = History()
    plant(history)
    violations, _ = history.check()
    assert checker in {violation.checker for violation in violations}, violations


def test_at_most_once_sent_again():
    """The same history, promised at most once: the second attempt of fire 3 is the violation."""
    violations, _ = History(promise="at_most_once").check()
    assert [v.checker for v in violations] == ["K2"] and "at-most-once" in violations[0].text


def test_left_over_process():
    violations, _ = History().check(processes=[4711])
    assert [str(v) for v in violations] == ["K10: process 4711 is left over"]


def test_deleted_job_is_judged_until_its_deletion():
    history = History()
    del history.store.jobs[1]
    history.acknowledged.deleted[1] = START + 8 * SECOND
    assert history.check() == ([], 8)
    del history.store.runs[8]
    assert {v.checker for v in history.check()[0]} >= {"K3"}


@pytest.mark.parametrize("schedule, fires", [
    ({"cron": {"expression": "0/20 * * * * ?", "zone": "UTC"}}, ["00:20", "00:40", "01:00"]),
    ({"cron": {"expression": "5,10-12 0 * * * *", "zone": "UTC"}}, ["00:05", "00:10", "00:11", "00:12"]),
    ({"every": {"interval_ms": 30000, "start": "2026-11-25T18:00:10+08:00"}}, ["00:10", "00:40"]),
    ({"at": {"times": ["2026-11-25T10:00:07Z", "2026-11-25T11:00:00Z"]}}, ["00:07"]),
    ({"manual": {}}, []),
])
def test_fires(schedule, fires):
    found = schedule_of(schedule)
    expected = [milliseconds(f"2026-11-25T10:{time}Z") for time in fires]
    assert found.between(START, START + 60 * SECOND) == expected
    assert all(found.holds(at) for at in expected) and not found.holds(START + 1)


def test_program_says_what_it_found(tmp_path):
    """checkers.py over files, as `tests/fault/run --keep` leaves them."""
    (tmp_path / "data").mkdir()
    (tmp_path / "ledger").write_text(
        "7 default/job 2026-11-25T10:00:00Z 1 1 START 1795600800000000000 5 script\n")
    checkers.acknowledged_save(Acknowledged(writes=[(3, 1, "text")]), tmp_path / "acknowledged")
    empty_store(tmp_path / "data" / "belfry.db")
    done = subprocess.run([sys.executable, checkers.__file__, tmp_path], capture_output=True, text=True)
    assert done.returncode == 1, done
    assert "K2: effect without a run" in done.stdout and "K8: version 1 of job 3" in done.stdout


def empty_store(path):
    with sqlite3.connect(path) as db:
        db.executescript(
            "CREATE TABLE job (id, version);"
            "CREATE TABLE job_version (job_id, version, schedule_version, definition, valid_from);"
            "CREATE TABLE run (id, job_id, fire_at, fire_key, state, attempt, token, job_version,"
            " schedule_version, live, cause, started_at, exit_code, message);"
            "CREATE TABLE attempt (run_id, attempt, token, state, cause);"
            "CREATE TABLE fire_gap (job_id, from_at, to_at, fires, cause, schedule_version);")
