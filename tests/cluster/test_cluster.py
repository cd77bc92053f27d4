"""Six processes on a real server: gateway, auth, two job-admins, two job-executes.

Found through the static registry, signed calls between them. One of each pair is killed with -9
while jobs fire: no fire is lost, none is decided twice, each further attempt has its cause.
"""
import collections
import contextlib
import datetime
import time

import pytest

from belfry import Belfry, Sink, free_port, wait_for
from servers import Servers

JOBS = 20
LEASE_S = 3


class Cluster(contextlib.ExitStack):
    """url and password of a database that nobody else uses."""

    def __init__(self, url, password):
        super().__init__()
        ports = {name: free_port() for name in
                 ("auth", "admin-1", "admin-2", "execute-1", "execute-2")}
        address = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        self.common = {
            "cluster.join_key": "a key of this test only, " + "x" * 20,
            "registry.auth": address["auth"],
            "registry.job-admin": f"{address['admin-1']}, {address['admin-2']}",
            "registry.job-execute": f"{address['execute-1']}, {address['execute-2']}",
            "admin.lease": f"{LEASE_S}s",
            "admin.executor_lease": f"{LEASE_S}s",
        }
        self.store = {"store.url": url, "store.password": password or None}
        self.ports = ports

    def node(self, name, service, store=True):
        settings = {**self.common, "node.name": name}
        if name in self.ports:
            settings["internal.listen"] = f"127.0.0.1:{self.ports[name]}"
        if store:
            settings.update(self.store)
        return Belfry(services=[service], settings=settings, set_up=False, ready=False)

    def __enter__(self):
        super().__enter__()
        # all at once and in no order: each waits for what it needs
        self.nodes = {
            "execute-1": self.node("execute-1", "job-execute", store=False),
            "execute-2": self.node("execute-2", "job-execute", store=False),
            "admin-1": self.node("admin-1", "job-admin"),
            "admin-2": self.node("admin-2", "job-admin"),
            "auth": self.node("auth", "auth"),
            "gateway": self.node("gateway", "gateway", store=False),
        }
        for node in self.nodes.values():
            self.enter_context(node)
        self.gateway = self.nodes["gateway"]
        try:
            self.gateway.wait_ready()
        except AssertionError:
            raise AssertionError(self.logs())
        auth = self.nodes["auth"]
        wait_for(lambda: (auth.data / "setup-code").exists(), "the setup code")
        self.gateway.setup_code = auth.setup_code
        self.gateway.set_up()
        wait_for(lambda: len([e for e in self.executors() if e["alive"]]) == 2,
                 lambda: f"two executors; there are {self.executors()}\n" + self.logs())
        return self

    def executors(self):
        answer = self.gateway.api("GET", "/api/v1/executors")
        return answer.json["items"] if answer.status == 200 else []

    def logs(self):
        return "\n".join(f"--- {name}\n{node.log()[-3000:]}" for name, node in self.nodes.items())


@pytest.fixture(scope="module", params=["postgres", "mysql"])
def cluster(request):
    with Servers(request.param) as servers:
        url = servers.fresh_database("cluster")[request.param]
        with Cluster(url, getattr(servers, request.param).password) as cluster:
            yield cluster


def every(milliseconds):
    return {"every": {"interval_ms": milliseconds, "start": "2020-01-01T00:00:00Z"}}


def runs_of(cluster, job):
    return cluster.gateway.items(f"/api/v1/runs?job={job['id']}&limit=500")


def test_a_run_by_hand_goes_through_all_services(cluster):
    with Sink() as sink:
        job = cluster.gateway.job("by-hand", {"http": {"url": sink.url + "/x"}})
        run = cluster.gateway.wait_run(cluster.gateway.run(job))
        assert run["state"] == "SUCCEEDED", run
        assert sink.requests[0].run_id == run["id"]


def test_log_of_a_script_is_read_through_the_gateway(cluster):
    job = cluster.gateway.job("script", {"script": {"interpreter": "sh",
                                                    "script": "echo one; echo two >&2"}})
    run_id = cluster.gateway.run(job)
    assert cluster.gateway.wait_run(run_id)["state"] == "SUCCEEDED"

    def lines():
        page = cluster.gateway.api("GET", f"/api/v1/runs/{run_id}/log", expect=200).json
        return page["items"] if page["complete"] else None
    assert {(line["stream"], line["text"]) for line in wait_for(lines, "the log")} >= {
        ("stdout", "one"), ("stderr", "two")}


def test_stop_reaches_the_owner_of_the_shard(cluster):
    """Twice as many jobs as admins, so that some requests land at the admin that is not the owner."""
    jobs = [cluster.gateway.job(f"stop-{n}", {"script": {"interpreter": "sh", "script": "sleep 100"}})
            for n in range(4)]
    runs = [cluster.gateway.run(job) for job in jobs]
    for run in runs:
        cluster.gateway.wait_run(run, ("RUNNING",))
        cluster.gateway.api("POST", f"/api/v1/runs/{run}/stop", expect=202)
    for run in runs:
        assert cluster.gateway.wait_run(run)["state"] == "CANCELLED"


@pytest.fixture
def logs_on_failure(cluster, request):
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        print(cluster.logs())


def test_killed_admin_and_executor_lose_and_double_nothing(cluster, logs_on_failure):
    gateway = cluster.gateway
    with Sink() as sink:
        jobs = [gateway.job(f"steady-{n}", {"http": {"url": f"{sink.url}/{n}"}}, every(1000))
                for n in range(JOBS)]
        sink.wait_for(lambda requests: len(requests) >= 3 * JOBS)
        for victim in ("admin-1", "execute-1"):
            cluster.nodes[victim].kill9()
            before = len(sink.requests)
            # the other one takes over: every job goes on, for longer than what was under way
            sink.wait_for(lambda requests: fires_of_each(requests[before:]) >= 3 * LEASE_S,
                          f"all jobs after {victim} was killed", timeout=90)
            cluster.nodes[victim].start()
            before = len(sink.requests)
            sink.wait_for(lambda requests: len(requests) >= before + 3 * JOBS)
        for job in jobs:
            gateway.api("POST", f"/api/v1/jobs/{job['id']}/disable", expect=200)
        stopped = datetime.datetime.now(datetime.timezone.utc)
        wait_for(lambda: all(run["state"] in Belfry.TERMINAL for job in jobs
                             for run in runs_of(cluster, job)), "all runs to end", timeout=60)
        starts = collections.Counter(request.run_id for request in sink.requests)
        for job in jobs:
            check_job(cluster, job, starts, stopped)


def fires_of_each(requests):
    counts = collections.Counter(request.path for request in requests)
    return min(counts[f"/{n}"] for n in range(JOBS))


def check_job(cluster, job, starts, stopped):
    """K2 and K3 over one job: every second between its first and last fire has one outcome."""
    runs = [run for run in runs_of(cluster, job) if run["fire_key"] == ""]
    fires = collections.Counter(run["fire_at"] for run in runs)
    assert max(fires.values()) == 1, "a fire was decided twice"
    seconds = sorted(datetime.datetime.fromisoformat(at.replace("Z", "+00:00")) for at in fires)
    at = seconds[0]
    while at <= seconds[-1]:
        text = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        if text not in fires:
            why = cluster.gateway.api("GET", f"/api/v1/jobs/{job['id']}/why?at={text}",
                                      expect=200).json
            assert why["outcome"] == "NOT_RUN", why
        at += datetime.timedelta(seconds=1)
    for run in runs:
        assert starts[run["id"]] <= max(run["attempt"], 0), f"more starts than attempts: {run}"
        if run["state"] == "SUCCEEDED":
            assert starts[run["id"]] >= 1
        if run["attempt"] > 1:
            whole = cluster.gateway.api("GET", f"/api/v1/runs/{run['id']}", expect=200).json
            for attempt in whole["attempts"][:-1]:
                assert attempt["cause"]["kind"] == "lost", whole


def test_unsigned_and_forged_requests_are_refused_between_services(cluster):
    from belfry import http_call
    port = cluster.ports["admin-1"]
    assert http_call(port, "GET", "/api/v1/jobs").status == 401
    assert http_call(port, "POST", "/internal/v1/job-admin/groups", {}).status == 401
    forged = {"X-Belfry-Identity": "eyJpc3MiOiJhZG1pbi0yIn0.AAAA"}
    assert http_call(port, "POST", "/internal/v1/job-admin/groups", {}, forged).status == 401
    assert http_call(port, "GET", "/healthz").status == 200
