#!/usr/bin/python3
"""How fast Belfry is from end to end, in one process on SQLite, every commit durable.

    bench/bench-fires.py [--build DIR] [--only fires,burst,memory,http] [--steps N,N,…]
                         [--seconds S] [--jobs N] [--nice N]

fires   N jobs that fire every second, each an HTTP call to bench/sink in a process of its own, for
        growing N until the 99th percentile of lateness passes 1 s or a fire is lost. Lateness is
        what the sink saw: arrival minus the fire's time. A fire is lost when it has no row that
        SUCCEEDED; rows and the sink's distinct runs must agree.
burst   N jobs due at the same instant, once: when the last of them has arrived.
memory  Pss of all processes, and time from exec to a ready answer: empty, and with N jobs.
http    requests a second of one small read through the gateway, by wrk.

Beside fires/s stands the raw store of the same run (bench-store: claim, insert, finish). Cores that
others use make all of it slower: the load average is printed, and CPU time a fire, which does not
depend on it as much.
"""
import argparse
import concurrent.futures
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests" / "fault")]

from fires import milliseconds  # noqa: E402

SUCCEEDED = 10
SETTLE_S = 6       # the planning horizon: from then on the load is even
TICKS = os.sysconf("SC_CLK_TCK")


# --- small things ---------------------------------------------------------------------------------


def say(text):
    print(text, flush=True)


def family(leader):
    """The server and its descendants: the launcher, and scripts."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    pids = [leader]
    for pid in pids:
        pids += parents.get(pid, [])
    return pids


def pss_mib(leader):
    total = 0
    for pid in family(leader):
        with contextlib.suppress(OSError):
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))
    return total / 1024


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def machine_busy_s():
    """CPU time that everything on the machine has used, and how many cores there are."""
    fields = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS


class Keep:
    """A connection kept open: http.client alone, so that the client costs little."""

    def __init__(self, port, key=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def __call__(self, method, path, body=None):
        headers = dict(self.headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body)
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return text


def on_connections(belfry, items, ask):
    """ask(call, item) for each, on 8 connections; returns how many a second."""
    def some(lane):
        call = Keep(belfry.port, belfry.key)
        for item in items[lane::8]:
            ask(call, item)
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(some, range(8)))
    return len(items) / (time.monotonic() - begun)


def create_jobs(belfry, first, count, body_of):
    """Through the API; returns jobs a second."""
    return on_connections(belfry, range(first, first + count),
                          lambda call, i: call("POST", "/api/v1/jobs", body_of(i)))


def http_job(i, sink, schedule):
    return {"group": "default", "name": f"job-{i}", "schedule": schedule,
            "task": {"http": {"url": sink.url + "/task"}},
            "overlap": {"policy": "parallel", "limit": 100}}


def server(nice):
    from belfry import Belfry

    class Server(Belfry):
        def start(self):
            super().start()
            prefer(self.process.pid, nice)
            return self
    return Server(settings={"http.access_log": "false", "log.level": "warn", "schedule.zone": "UTC",
                            "http.rate_address": "0", "http.rate_principal": "0"})


def prefer(pid, nice):
    """Before others on the machine; Linux shares cores by session first (autogroup)."""
    if nice:
        with contextlib.suppress(FileNotFoundError):
            pathlib.Path(f"/proc/{pid}/autogroup").write_text(str(nice))
        os.setpriority(os.PRIO_PROCESS, pid, nice)


def store_raw(build):
    """Best durable runs/s of the raw store (sqlite3 calls on one thread) and through src/db."""
    done = subprocess.run([str(build / "bench" / "bench-store")], capture_output=True, text=True)
    rows = re.findall(r"batch\s+(\d+) x\s+(\d+).*?(\d+) runs/s.*?raw\s+(\d+)", done.stdout)
    if not rows:
        return None
    return {"raw": max(int(row[3]) for row in rows), "db": max(int(row[2]) for row in rows)}


# --- fires ----------------------------------------------------------------------------------------


def window_rows(path, since, until):
    """(due by the jobs' own schedules, SUCCEEDED rows, rows) of fires in [since, until)."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        due = 0
        for created, text in db.execute("SELECT created_at, definition FROM job"):
            start = milliseconds(json.loads(text)["schedule"]["every"]["start"])
            # fires after the job was made, in [since, until)
            due += (until - 1 - start) // 1000 - (max(since - 1, created) - start) // 1000 \
                if created < until else 0
        counts = dict(db.execute("SELECT state = ?, COUNT(*) FROM run WHERE fire_at >= ? AND "
                                 "fire_at < ? GROUP BY 1", (SUCCEEDED, since, until)))
    return due, counts.get(1, 0), sum(counts.values())


def fires_step(belfry, sink, jobs, seconds):
    stats = Keep(sink.port)
    time.sleep(SETTLE_S)
    stats("POST", "/sink/reset")
    cpu, sink_cpu, busy = cpu_s(belfry.process.pid), cpu_s(sink.process.pid), machine_busy_s()
    since, begun = time.time_ns() // 1_000_000, time.monotonic()
    time.sleep(seconds)
    until, took = time.time_ns() // 1_000_000, time.monotonic() - begun
    seen = json.loads(stats("GET", "/sink/stats"))
    cpu, sink_cpu = cpu_s(belfry.process.pid) - cpu, cpu_s(sink.process.pid) - sink_cpu
    busy = machine_busy_s() - busy
    late = seen["lateness_us"]
    return {"jobs": jobs, "since": since, "until": until, "rate": seen["requests"] / took,
            "p50_ms": late["p50"] / 1000, "p99_ms": late["p99"] / 1000, "max_ms": late["max"] / 1000,
            "cpu_us": cpu / max(1, seen["requests"]) * 1e6, "cores": cpu / took,
            "sink_cores": sink_cpu / took, "others": (busy - cpu - sink_cpu) / took,
            "pss_mib": pss_mib(belfry.process.pid)}


def bench_fires(args, kill9):
    raw = store_raw(args.build)
    results, sink = [], kill9.Sink()
    with server(args.nice) as belfry:
        made = 0
        for jobs in args.steps:
            create_jobs(belfry, made, jobs - made,
                        lambda i: http_job(i, sink, {"every": {"interval_ms": 1000}}))
            made = jobs
            step = fires_step(belfry, sink, jobs, args.seconds)
            results.append(step)
            say(f"{jobs:6} jobs: {step['rate']:7.0f} fires/s, late p50 {step['p50_ms']:.1f} ms, "
                f"p99 {step['p99_ms']:.1f}, max {step['max_ms']:.1f}; {step['cpu_us']:.0f} us CPU a "
                f"fire ({step['cores']:.2f} cores, sink {step['sink_cores']:.2f}, all others "
                f"{step['others']:.2f}), Pss {step['pss_mib']:.0f} MiB")
            if step["p99_ms"] > 1000:
                break
        pause_all(belfry, args.seconds)
        seen = json.loads(Keep(sink.port)("GET", "/sink/stats"))
        belfry.stop()
        lossless = fires_account(belfry.data / "belfry.db", results, seen["runs"])
    sink.close()
    best = max((step["rate"] for step in results if step["lossless"] and step["p99_ms"] <= 1000),
               default=0)
    say(f"best without loss at p99 <= 1 s: {best:.0f} fires/s"
        + (f"; raw store {raw['raw']} runs/s (ratio {best / raw['raw']:.2f}), through src/db "
           f"{raw['db']} (ratio {best / raw['db']:.2f})" if raw else ""))
    return lossless


def pause_all(belfry, seconds):
    """Disables every job and waits until nothing is under way, so that all can be counted."""
    ids = [job["id"] for job in belfry.items("/api/v1/jobs?limit=500")]
    on_connections(belfry, ids,
                   lambda call, job_id: call("POST", f"/api/v1/jobs/{job_id}/disable"))
    call = Keep(belfry.port, belfry.key)
    end = time.monotonic() + 60 + seconds
    while time.monotonic() < end:
        if not any(json.loads(call("GET", f"/api/v1/runs?state={state}&limit=1"))["items"]
                   for state in ("READY", "DISPATCHED", "RUNNING", "RETRY_WAIT")):
            return
        time.sleep(0.2)


def fires_account(path, results, sink_runs):
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT COUNT(*) FROM run WHERE state = ?", (SUCCEEDED,)).fetchone()[0]
        attempts = db.execute("SELECT COUNT(*) FROM attempt").fetchone()[0]
    for step in results:
        due, ok, all_ = window_rows(path, step["since"], step["until"])
        step["lossless"] = due == ok == all_
        say(f"{step['jobs']:6} jobs: {due} fires due in the window, {ok} rows SUCCEEDED of {all_}")
    say(f"in all {rows} rows SUCCEEDED, {sink_runs} distinct runs at the sink, {attempts} attempts "
        "tried again")
    return rows == sink_runs and all(step["lossless"] for step in results)


# --- burst ----------------------------------------------------------------------------------------


def bench_burst(args, kill9):
    sink = kill9.Sink()
    stats = Keep(sink.port)
    with server(args.nice) as belfry:
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(
            seconds=20 + args.burst / 300)
        at = at.replace(microsecond=0)
        rate = create_jobs(belfry, 0, args.burst, lambda i: http_job(
            i, sink, {"at": {"times": [at.strftime("%Y-%m-%dT%H:%M:%SZ")]}}))
        say(f"{args.burst} jobs made, {rate:.0f}/s, {at.timestamp() - time.time():.0f} s to go")
        end = at.timestamp() + 120
        while time.time() < end:
            seen = json.loads(stats("GET", "/sink/stats"))
            if seen["runs"] >= args.burst:
                break
            time.sleep(0.1)
        late = seen["lateness_us"]
        say(f"{args.burst} jobs due at once: {seen['runs']} arrived, p50 {late['p50'] / 1e6:.2f} s, "
            f"p99 {late['p99'] / 1e6:.2f} s, the last {late['max'] / 1e6:.2f} s late; "
            f"Pss {pss_mib(belfry.process.pid):.0f} MiB")
    sink.close()
    return seen["runs"] == args.burst == seen["lateness_us"]["count"]


# --- memory and start -----------------------------------------------------------------------------


def start_ms(belfry):
    """From exec to the first ready answer; the best of 3, as what else runs only adds."""
    times = []
    for _ in range(3):
        belfry.stop()
        belfry.ready_wanted = False
        begun = time.monotonic()
        belfry.start()
        while True:
            with contextlib.suppress(OSError, RuntimeError, http.client.HTTPException):
                Keep(belfry.port)("GET", "/readyz")
                break
            time.sleep(0.001)
        times.append((time.monotonic() - begun) * 1000)
    return min(times)


def memory_say(belfry, what):
    begun = start_ms(belfry)
    time.sleep(SETTLE_S)
    say(f"{what}: start to ready {begun:.0f} ms, Pss of all processes "
        f"{pss_mib(belfry.process.pid):.1f} MiB ({len(family(belfry.process.pid))} processes)")


def bench_memory(args, kill9):
    class Nobody:
        url = "http://127.0.0.1:9"
    with server(args.nice) as belfry:
        memory_say(belfry, "empty")
        rate = create_jobs(belfry, 0, args.jobs, lambda i: http_job(
            i, Nobody, {"cron": {"expression": f"{i % 60} {i // 60 % 60} 3 * * ?"}}))
        say(f"made through the API one by one, each durable: {rate:.0f} jobs/s on 8 connections; "
            f"Pss then {pss_mib(belfry.process.pid):.1f} MiB")
        memory_say(belfry, f"{args.jobs} jobs, each once a day")
    return True


# --- HTTP ------------------------------------------------------------------------------------------


def wrk(url, key, seconds):
    done = subprocess.run(["wrk", "-t2", "-c32", f"-d{seconds}s", "-H", f"Authorization: Bearer {key}",
                           url], capture_output=True, text=True)
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    return float(found.group(1)) if found else 0, int(errors.group(1)) if errors else 0


def bench_http(args, kill9):
    sink = kill9.Sink()
    with server(args.nice) as belfry:
        belfry.job("one", {"http": {"url": sink.url}})
        raw, _ = wrk(sink.url + "/", "-", 5)
        for path in ("/healthz", "/api/v1/jobs/1", "/api/v1/jobs?limit=50"):
            rate, errors = wrk(belfry.url + path, belfry.key, 5)
            say(f"GET {path}: {rate:.0f} requests/s, {errors} not answered with 2xx; raw loopback "
                f"(the sink, one thread) {raw:.0f}, ratio {rate / max(1, raw):.2f}")
    sink.close()
    return True


PARTS = {"fires": bench_fires, "burst": bench_burst, "memory": bench_memory, "http": bench_http}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--steps", default="500,1000,2000,5000,10000,15000,20000")
    parser.add_argument("--seconds", type=float, default=15, help="of each step")
    parser.add_argument("--burst", type=int, default=10000)
    parser.add_argument("--jobs", type=int, default=100000, help="for memory and start")
    parser.add_argument("--nice", type=int, default=0, help="of the server; negative needs root")
    args = parser.parse_args()
    args.build = args.build.resolve()
    args.steps = [int(word) for word in args.steps.split(",")]
    os.environ["BELFRY_BUILD"] = str(args.build)
    import kill9
    prefer(os.getpid(), args.nice)
    say(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, build {args.build}")
    good = [PARTS[name](args, kill9) for name in args.only.split(",")]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
