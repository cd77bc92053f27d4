#!/usr/bin/python3
"""Compares what happened (effect ledger), what was answered (acknowledged writes) and what the
store says. Each checker returns its violations; none means that it holds.

    checkers.py FOLDER      checks what a run of tests/fault/run --keep has left there

The numbers are those of docs/architecture.md's contract: K2 each effect has its decision and each
further attempt its cause, K3 no fire is missed or decided twice, K5 no overlap where it is
forbidden, K8 what was acknowledged is there, K10 nothing is left over.
"""
import collections
import dataclasses
import json
import pathlib
import sys

from evidence import (CANCELLED, CAUSE_LOST, FAILED, SHED, SKIPPED, SUCCEEDED, TERMINAL, UNKNOWN,
                      Lookup, Store, ledger_read)
from fires import schedule_of

# Fires are planned so far ahead; one that begins while an edit is being committed keeps its row.
PLAN_HORIZON_MS = 5000
CAUSES_SKIPPED_FIRE = (SKIPPED, SHED)


@dataclasses.dataclass(frozen=True)
class Violation:
    checker: str
    text: str

    def __str__(self):
        return f"{self.checker}: {self.text}"


@dataclasses.dataclass
class Acknowledged:
    """What clients were promised by a 2xx answer, each with the text that they sent."""
    writes: list = dataclasses.field(default_factory=list)   # (job id, version, description)
    deleted: dict = dataclasses.field(default_factory=dict)  # job id → time of the first request
    asked_deleted: dict = dataclasses.field(default_factory=dict)  # the same, not answered
    requests: dict = dataclasses.field(default_factory=dict) # (job id, request id) → run id


# --- K2: each effect has its decision ---------------------------------------------------------------


def check_effects(store, effects):
    """K2: starts ≤ attempts granted, every claimed fire legal, every further attempt with cause."""
    found = []
    lookup = Lookup(effects)
    for effect in effects:
        found += effect_violations(store, effect)
    for run in store.runs.values():
        found += run_violations(store, lookup, run)
    return [Violation("K2", text) for text in found]


def effect_violations(store, effect):
    run = store.runs.get(effect.run)
    if not run:
        return [f"effect without a run: {effect}"]
    found = []
    if effect.job != store.job_name(run.job_id):
        found.append(f"run {run.id} is of {store.job_name(run.job_id)}, its effect says {effect.job}")
    if effect.fire_at != run.fire_at:
        found.append(f"run {run.id} is of {run.fire_at}, its effect says {effect.fire_at}")
    if effect.attempt > run.attempt or effect.attempt < 1 or effect.token > run.token:
        found.append(f"attempt {effect.attempt} (token {effect.token}) of run {run.id} was never "
                     f"granted: it is at {run.attempt} (token {run.token})")
    if effect.real_ns // 1_000_000 < run.fire_at:
        found.append(f"run {run.id} began {run.fire_at - effect.real_ns // 1_000_000} ms early")
    return found


def run_violations(store, lookup, run):
    starts = lookup.starts(run.id)
    found = attempt_violations(store, run) + legality_violations(store, run)
    per_attempt = collections.Counter(effect.attempt for effect in starts)
    found += [f"attempt {attempt} of run {run.id} began {count} times"
              for attempt, count in per_attempt.items() if count > 1]
    if run.state == SUCCEEDED and run.attempt not in per_attempt:
        found.append(f"run {run.id} is SUCCEEDED and its attempt {run.attempt} never began")
    if run.state in CAUSES_SKIPPED_FIRE and starts:
        found.append(f"run {run.id} is in state {run.state} and yet began")
    definition = store.version(run.job_id, run.job_version)
    if run.job_version and not definition:
        found.append(f"run {run.id} is pinned to version {run.job_version}, which is not there")
    elif definition and definition.definition.get("promise") == "at_most_once":
        lost = [a for a in store.attempts[run.id] if a.cause == CAUSE_LOST]
        if lost or (len(starts) > 1 and not definition.definition["retry"]["max"]):
            found.append(f"at-most-once run {run.id} was sent again: {len(starts)} starts")
    if run.state == SUCCEEDED and definition and "script" in definition.definition["task"] and \
            definition.definition["task"]["script"] and \
            not any(effect.attempt == run.attempt for effect in lookup.ends(run.id)):
        found.append(f"script run {run.id} is SUCCEEDED and its last line never ran")
    return found


def attempt_violations(store, run):
    rows = store.attempts[run.id]
    by_number = collections.Counter(row.attempt for row in rows)
    found = [f"run {run.id} is at attempt {run.attempt}, and why it was tried again after attempt "
             f"{number} is not recorded" for number in range(1, run.attempt) if not by_number[number]]
    found += [f"attempt {row.attempt} of run {run.id} ended without a cause" for row in rows
              if not row.cause]
    if any(a.token >= b.token for a, b in zip(rows, rows[1:])) or \
            any(row.token > run.token or (row.token == run.token and run.state != CANCELLED)
                for row in rows):  # cancelled while it waited for the next attempt
        found.append(f"tokens of run {run.id} do not grow")
    return found


def legality_violations(store, run):
    """The fire is one of the schedule under which it was decided, in that schedule's time."""
    if run.fire_key:
        return []
    window = store.schedule_window(run.job_id, run.schedule_version)
    if not window:
        return [f"run {run.id} has schedule version {run.schedule_version}, which is not there"]
    schedule, valid_from, valid_to = window
    if not schedule.holds(run.fire_at):
        return [f"run {run.id} at {run.fire_at} is no fire of {store.job_name(run.job_id)}"]
    if run.fire_at <= valid_from or (valid_to and run.fire_at > valid_to + PLAN_HORIZON_MS):
        return [f"run {run.id} at {run.fire_at} lies outside its schedule's time "
                f"({valid_from}, {valid_to}]"]
    return []


# --- K3: every fire has its outcome -----------------------------------------------------------------


def check_completeness(store, horizon_of):
    """K3: every fire in (creation, horizon] has exactly one row, in a terminal state, or lies in a
    gap. horizon_of(job id): milliseconds, or None for a job that cannot be judged."""
    found, fires = [], 0
    rows = collections.defaultdict(list)
    for run in store.runs.values():
        rows[run.job_id, run.fire_at, run.fire_key].append(run)
    for (job_id, fire_at, key), runs in rows.items():
        if len(runs) > 1:
            found.append(f"fire {fire_at} {key!r} of job {job_id} was decided {len(runs)} times")
    for job_id, versions in list(store.versions.items()):
        horizon = horizon_of(job_id)
        for version in versions if horizon else ():
            end = min(version.valid_to or horizon, horizon)
            for at in schedule_of(version.definition["schedule"]).between(version.valid_from, end):
                fires += 1
                found += fire_violations(store, job_id, at, rows.get((job_id, at, "")))
        found += gap_violations(store, job_id)
    return [Violation("K3", text) for text in found], fires


def fire_violations(store, job_id, at, runs):
    gap = store.gap_at(job_id, at)
    if not runs:
        return [] if gap else [f"fire {at} of {store.job_name(job_id)} (job {job_id}) is missing"]
    if runs[0].state not in TERMINAL:
        return [f"run {runs[0].id} of fire {at} is still in state {runs[0].state}"]
    if gap and gap.schedule_version == runs[0].schedule_version and \
            at <= store.schedule_window(job_id, gap.schedule_version)[2]:
        return [f"fire {at} of job {job_id} has run {runs[0].id} and is in a gap, too: {gap}"]
    return []


def gap_violations(store, job_id):
    found = []
    for gap in store.gaps[job_id]:
        window = store.schedule_window(job_id, gap.schedule_version)
        fires = window[0].between(gap.from_at - 1, gap.to_at) if window else []
        if not fires or fires[0] != gap.from_at or fires[-1] != gap.to_at or \
                len(fires) != gap.fires or not gap.cause:
            found.append(f"gap of job {job_id} does not agree with its schedule, which has "
                         f"{len(fires)} fires there: {gap}")
    return found


# --- K5: no overlap -----------------------------------------------------------------------------------


def check_overlap(store, effects):
    """K5: of a job that forbids it, no two runs are at work at once, as the scripts saw it. An
    attempt that was lost has no end of its own and is not counted."""
    spans = collections.defaultdict(list)
    begun = {}
    for effect in sorted(effects, key=lambda e: e.mono_ns):
        run = store.runs.get(effect.run)
        version = run and store.version(run.job_id, run.job_version)
        if not version or version.definition["overlap"]["policy"] == "parallel":
            continue
        if effect.phase == "START":
            begun[effect.run, effect.attempt] = effect.mono_ns
        elif (effect.run, effect.attempt) in begun:
            spans[run.job_id].append((begun[effect.run, effect.attempt], effect.mono_ns, run.id))
    found = []
    for job_id, list_ in spans.items():
        list_.sort()
        for (_, end, first), (start, _, second) in zip(list_, list_[1:]):
            if start < end and first != second:
                found.append(Violation("K5", f"runs {first} and {second} of job {job_id} overlap"))
    return found


# --- K8: what was acknowledged is there -----------------------------------------------------------------


def check_acknowledged(store, acknowledged):
    """K8: every 2xx write is there, with that version or a later one, as it was sent."""
    found = []
    gone = {**acknowledged.deleted, **acknowledged.asked_deleted}
    for job_id, version, description in acknowledged.writes:
        row = store.version(job_id, version)
        if not row or (description and row.definition.get("description") != description):
            found.append(f"version {version} of job {job_id} ({description}) was acknowledged and is "
                         "not there")
        if store.jobs.get(job_id, 0) < version and job_id not in gone:
            found.append(f"job {job_id} is at version {store.jobs.get(job_id)}, {version} was "
                         "acknowledged")
    found += [f"job {job_id} is there, its deletion was acknowledged"
              for job_id in acknowledged.deleted if job_id in store.jobs]
    keys = collections.Counter((run.job_id, run.fire_key) for run in store.runs.values())
    for (job_id, request), run_id in acknowledged.requests.items():
        if run_id not in store.runs:
            found.append(f"run {run_id} of job {job_id} was acknowledged and is not there")
        if keys[job_id, f"manual:{request}"] != 1:
            found.append(f"request {request} of job {job_id} has "
                         f"{keys[job_id, f'manual:{request}']} runs")
    return [Violation("K8", text) for text in found]


# --- outcomes: nothing else went wrong --------------------------------------------------------------


# What the jobs of workload.py may come to when nothing fails but the process: (state, cause). Their
# scripts fail in first attempts only.
EXPECTED_OUTCOMES = frozenset({
    (SUCCEEDED, 20), (FAILED, CAUSE_LOST), (UNKNOWN, CAUSE_LOST), (CANCELLED, 36), (SKIPPED, 50),
    (SKIPPED, 51), (SKIPPED, 60)})


def check_outcomes(store, expected=EXPECTED_OUTCOMES):
    """No run came to an end that its job and the kills do not explain."""
    return [Violation("outcome", f"run {run.id} of {store.job_name(run.job_id)} ended in state "
                                 f"{run.state}, cause {run.cause}, exit code {run.exit_code}, "
                                 f"message {run.message!r}, attempt {run.attempt}")
            for run in store.runs.values()
            if run.state in TERMINAL and (run.state, run.cause) not in expected]


# --- K10: nothing is left over -----------------------------------------------------------------------------


def check_rest(store, processes=()):
    """K10: no run that is not terminal, no damaged page, no process. processes: those found."""
    found = [f"run {run.id} is still in state {run.state}" for run in store.runs.values()
             if run.state not in TERMINAL or run.live]
    found += [f"the file is damaged: {problem}" for problem in store.problems]
    found += [f"process {process} is left over" for process in processes]
    return [Violation("K10", text) for text in found]


# --- all ----------------------------------------------------------------------------------------------------


def horizons(store, acknowledged):
    """Up to when a job's fires are owed: its last version where that is disabled (how a fault test
    ends), or when its deletion was asked for. None: it is still at work, so nobody can say."""
    def horizon_of(job_id):
        if job_id not in store.jobs:
            return acknowledged.deleted.get(job_id) or acknowledged.asked_deleted.get(job_id)
        newest = store.versions[job_id][-1]
        return None if newest.definition.get("enabled", True) else newest.valid_from
    return horizon_of


def check_all(store, effects, acknowledged, processes=()):
    """All violations, and the number of fires that were checked."""
    missing, fires = check_completeness(store, horizons(store, acknowledged))
    return (check_effects(store, effects) + missing + check_overlap(store, effects) +
            check_acknowledged(store, acknowledged) + check_outcomes(store) +
            check_rest(store, processes)), fires


def acknowledged_save(acknowledged, path):
    pathlib.Path(path).write_text(json.dumps({
        "writes": acknowledged.writes,
        "deleted": list(acknowledged.deleted.items()),
        "asked_deleted": list(acknowledged.asked_deleted.items()),
        "requests": [[*key, run] for key, run in acknowledged.requests.items()]}))


def acknowledged_load(path):
    saved = json.loads(pathlib.Path(path).read_text())
    return Acknowledged([tuple(write) for write in saved["writes"]], dict(saved["deleted"]),
                        dict(saved["asked_deleted"]),
                        {(job, request): run for job, request, run in saved["requests"]})


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 64
    folder = pathlib.Path(arguments[0])
    violations, fires = check_all(Store.read(folder / "data" / "belfry.db"),
                                  ledger_read(folder / "ledger"),
                                  acknowledged_load(folder / "acknowledged"))
    for violation in violations:
        print(violation)
    print(f"{fires} fires checked, {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
