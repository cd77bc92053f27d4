"""Runs meson's tests and pytest over one build and counts every case.

    suites.py BUILD [--tests meson|pytest|all] [--workers N] [--patience N] [--pytest ARG]...
              [--summary FILE] [NAME]...
    suites.py --total FILE

A NAME is a path below tests/, a suite or test of meson ("unit", "base/buf", "sim"), or a word that
names of either hold. --summary (or BELFRY_SUMMARY) appends the counts to a file, --total adds such
a file up. The last line printed is "N passed, N failed, N skipped".
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as xml

TOP = pathlib.Path(__file__).resolve().parent.parent
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Tally:
    def __init__(self):
        self.counts = {PASSED: 0, FAILED: 0, SKIPPED: 0}
        self.notes = []

    def add(self, outcome, name, why=""):
        self.counts[outcome] += 1
        if outcome != PASSED:
            self.notes.append(f"{outcome}: {name}" + (f": {why}" if why else ""))

    def line(self):
        return ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items())


def meson_listing(build):
    """[(full name, [suites])] of all tests, e.g. ("base/buf", ["unit"])."""
    tests = json.loads(subprocess.check_output(["meson", "introspect", "--tests", str(build)]))
    return [(test["name"], [suite.split(":")[-1] for suite in test["suite"]]) for test in tests]


def choose(build, names):
    """(meson tests, pytest paths, pytest words) that the names stand for."""
    listing = meson_listing(build)
    meson, paths, words = [], [], []
    for name in names:
        hits = [test for test, suites in listing if name == test or name in suites] or \
               [test for test, _ in listing if name in test]
        path = TOP / name if (TOP / name.split("::")[0]).exists() else TOP / "tests" / name
        if path.as_posix().split("::")[0].startswith(f"{TOP}/tests/") and \
                pathlib.Path(path.as_posix().split("::")[0]).exists():
            paths.append(str(path))
        elif hits:
            meson += hits
        else:
            words.append(name)
    return meson, paths, words


def meson_command(build, tests, args):
    return ["meson", "test", "-C", str(build), "--no-rebuild", "--print-errorlogs",
            "--num-processes", str(args.workers), "--timeout-multiplier", str(args.patience), *tests]


def meson_count(build, tally):
    log = build / "meson-logs" / "testlog.json"
    if not log.exists():
        tally.add(FAILED, "meson test", "left no log")
        return
    for line in log.read_text().splitlines():
        result = json.loads(line)
        name = result["name"].split(" / ")[-1]
        if result["result"] in ("OK", "EXPECTEDFAIL"):
            tally.add(PASSED, name)
        elif result["result"] == "SKIP":
            lines = (result.get("stdout") or "").strip().splitlines()
            tally.add(SKIPPED, name, lines[-1] if lines else "")
        else:
            tally.add(FAILED, name, result["result"].lower())


def pytest_command(report, workers, extra, paths, words):
    command = ["/usr/bin/python3", "-m", "pytest", "-q", "-rfEs", "--junit-xml", str(report),
               "-n", str(workers), "--dist", "loadfile", *extra]
    if words:
        command += ["-k", " or ".join(words)]
    return command + (paths or [str(TOP / "tests")])


def pytest_count(report, status, tally):
    if not report.exists():
        tally.add(FAILED, "pytest", f"ended with {status} and left no report")
        return
    for case in xml.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        broken = case.find("failure") if case.find("failure") is not None else case.find("error")
        skipped = case.find("skipped")
        if broken is not None:
            tally.add(FAILED, name, (broken.get("message") or "").split("\n")[0][:200])
        elif skipped is not None:
            tally.add(SKIPPED, name, skipped.get("message") or "")
        else:
            tally.add(PASSED, name)
    if status not in (0, 1, 5):  # 1: tests failed (counted above), 5: none were chosen
        tally.add(FAILED, "pytest", f"ended with {status}")


def run(args):
    build = args.build.resolve()
    report = build / "pytest.xml"
    report.unlink(missing_ok=True)
    (build / "meson-logs" / "testlog.json").unlink(missing_ok=True)
    meson, paths, words = choose(build, args.names)
    with_meson = args.tests != "pytest" and (meson or not args.names)
    with_pytest = args.tests != "meson" and (paths or words or not args.names)
    # Both at once: a simulator that takes a minute on one core must not leave the other idle.
    children = {}
    if with_meson:
        children["meson"] = subprocess.Popen(meson_command(build, meson, args), cwd=TOP)
    if with_pytest:
        environment = dict(os.environ, BELFRY_BUILD=str(build), PYTHONDONTWRITEBYTECODE="1")
        children["pytest"] = subprocess.Popen(
            pytest_command(report, args.workers, args.pytest, paths, words), cwd=TOP,
            env=environment)
    status = {name: child.wait() for name, child in children.items()}
    tally = Tally()
    if with_meson:
        meson_count(build, tally)
    if with_pytest:
        pytest_count(report, status["pytest"], tally)
    return tally


def total(path):
    tally = Tally()
    for line in path.read_text().splitlines():
        for outcome, count in json.loads(line).items():
            tally.counts[outcome] += count
    return tally


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path, nargs="?")
    parser.add_argument("--tests", choices=("meson", "pytest", "all"), default="all")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--patience", type=int, default=2, help="times the time limits of meson's tests")
    parser.add_argument("--pytest", action="append", default=[])
    parser.add_argument("--summary", type=pathlib.Path, help="append the counts to this file",
                        default=os.environ.get("BELFRY_SUMMARY"))
    parser.add_argument("--total", type=pathlib.Path, help="only add up what is in that file")
    parser.add_argument("names", nargs="*")
    args = parser.parse_intermixed_args()
    tally = total(args.total) if args.total else run(args)
    for note in tally.notes:
        print(note)
    if args.summary:
        with pathlib.Path(args.summary).open("a") as summary:
            print(json.dumps(tally.counts), file=summary)
    if sum(tally.counts.values()) == 0:
        tally.add(FAILED, "no test was run")
    print(tally.line(), flush=True)
    return 1 if tally.counts[FAILED] else 0


if __name__ == "__main__":
    sys.exit(main())
