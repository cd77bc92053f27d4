"""The jobs of the kill test, and the API clients that change some of them while it goes on."""
import datetime
import http.client
import random
import threading

from belfry import http_call

CRON = ("* * * * * ?", "0/1 * * * * ?", "*/1 * * * * *", "0-29,30-59 * * * * ?")
ZONES = ("UTC", "Asia/Shanghai", "America/New_York", "Asia/Kathmandu")
CLIENT_OPERATIONS_PER_S = 15
SOON = {"first_ms": 100, "cap_ms": 1000}  # the default's minutes would be waited for at the end
# more of them than a slow machine can carry would wait for their turn after the end
OFTEN = {"policy": "parallel", "limit": 5}
EXTRA_JOBS = 12  # at most so many that a client has made


def schedule_every_second(i):
    if i % 2:
        return {"cron": {"expression": CRON[i // 2 % 4], "zone": ZONES[i // 8 % 4]}}
    return {"every": {"interval_ms": 1000}}


class Tasks:
    """What jobs do. Every one says so in the ledger, before it does and, a script, when it ends."""

    def __init__(self, sink_url, ledger_program, ledger, mark):
        self.sink_url = sink_url
        self.program, self.ledger, self.mark = ledger_program, ledger, mark

    def http(self):
        return {"http": {"url": self.sink_url + "/task", "method": "POST",
                         "body": '{"at": "${fire_time}"}'}}

    def script(self, work="true"):
        return {"script": {
            "interpreter": "sh",
            "script": f'"{self.program}" "$LEDGER" START || exit 99\n{work}\n'
                      f'"{self.program}" "$LEDGER" END || exit 99\necho done\n',
            # without control groups the default counts all tasks of the user that scripts run as:
            # a fork bomb in another test would make these fail
            "limits": {"processes": 10000},
            "env": [{"name": "LEDGER", "value": str(self.ledger)},
                    {"name": "FAULT_MARK", "value": self.mark}]}}


def core_jobs(tasks):
    """200 jobs that fire every second, half of them scripts, of all policies."""
    fails_at_times = "[ $((BELFRY_RUN_ID % 3 + BELFRY_ATTEMPT)) -gt 1 ] || exit 7"
    kinds = (  # how many of each, what each does
        (60, "script", tasks.script(), {"overlap": OFTEN}),
        (10, "script-retry", tasks.script(fails_at_times),
         {"overlap": OFTEN, "retry": {**SOON, "max": 2}}),
        (10, "script-once", tasks.script(), {"promise": "at_most_once"}),
        (10, "script-long", tasks.script("sleep 1.7"), {}),
        (10, "script-queue", tasks.script("sleep 0.1"), {"overlap": {"policy": "queue", "limit": 3}}),
        (60, "http", tasks.http(), {"overlap": OFTEN}),
        (10, "http-once", tasks.http(), {"promise": "at_most_once"}),
        (10, "http-all", tasks.http(), {"misfire": {"policy": "all", "threshold_ms": 1000}}),
        (10, "http-skip", tasks.http(), {"misfire": {"policy": "skip", "threshold_ms": 1000}}),
        (10, "http-merge", tasks.http(), {"misfire": {"policy": "once", "threshold_ms": 1000}}),
    )
    number = 0
    for count, name, task, members in kinds:
        for i in range(count):
            yield {"group": "default", "name": f"{name}-{i}", "task": task, "retry": SOON,
                   "schedule": schedule_every_second(number), **members}
            number += 1


class Lost(Exception):
    """No answer: whether it was done is not known."""


class Client(threading.Thread):
    """Makes, changes, stops, fires and deletes jobs of its own, and remembers every 2xx."""

    def __init__(self, name, seed, port, key, tasks, acknowledged):
        super().__init__(name=name, daemon=True)
        self.random = random.Random(seed)
        self.port, self.key, self.tasks, self.acknowledged = port, key, tasks, acknowledged
        self.jobs = {}        # id → version as last heard
        self.count = 0
        self.failure = None
        self.counts = {"acknowledged": 0, "lost": 0}
        self.pending = []     # things to be asked again until there is an answer
        self.over = threading.Event()

    # --- one request --------------------------------------------------------------------------------

    def call(self, method, path, body=None, version=None):
        headers = {"Authorization": f"Bearer {self.key}"}
        if version:
            headers["If-Match"] = f'"{version}"'
        try:
            answer = http_call(self.port, method, path, body, headers, timeout=20)
        except (OSError, http.client.HTTPException) as problem:
            self.counts["lost"] += 1
            raise Lost from problem
        if answer.status >= 500 and answer.status != 503:
            raise AssertionError(f"{method} {path}: {answer}")
        if answer.status == 503:
            raise Lost
        if answer.status < 300 and method != "GET":
            self.counts["acknowledged"] += 1
        return answer

    def wrote(self, job, description=None):
        self.jobs[job["id"]] = job["version"]
        self.acknowledged.writes.append((job["id"], job["version"], description))

    # --- what it does -------------------------------------------------------------------------------

    def body(self, name):
        self.count += 1
        choice = self.random.randrange(6)
        schedule = (
            {"every": {"interval_ms": 1000}}, {"every": {"interval_ms": 700}},
            {"cron": {"expression": "0/2 * * * * ?", "zone": "Asia/Shanghai"}},
            {"cron": {"expression": "* * * * * ?", "zone": "UTC"}},
            {"cron": {"expression": "1,5-9,20-40/3 * * * * ?", "zone": "Europe/Berlin"}},
            {"at": {"times": [in_seconds(n) for n in range(2, 12)]}})[choice]
        task = self.tasks.http() if self.random.random() < 0.7 else self.tasks.script()
        return {"group": "default", "name": name, "schedule": schedule, "task": task,
                "description": f"{self.name} wrote {self.count}",
                "overlap": OFTEN, "retry": SOON}

    def create(self):
        if len(self.jobs) >= EXTRA_JOBS:
            return
        body = self.body(f"{self.name}-{self.count}")
        answer = self.call("POST", "/api/v1/jobs", body)
        assert answer.status == 201, answer
        self.wrote(answer.json, body["description"])

    def update(self):
        job_id = self.some_job()
        job = self.call("GET", f"/api/v1/jobs/{job_id}").json
        assert job["version"] >= self.jobs[job_id], f"an acknowledged write is not seen: {job}"
        self.jobs[job_id] = job["version"]
        body = self.body(job["name"])
        if self.random.random() < 0.5 and "at" not in job["schedule"]:  # those may be over
            body["schedule"] = job["schedule"]
        answer = self.call("PUT", f"/api/v1/jobs/{job_id}", body, version=job["version"])
        assert answer.status == 200, answer
        self.wrote(answer.json, body["description"])

    def switch(self):
        job_id, what = self.some_job(), self.random.choice(("disable", "enable", "resume"))
        answer = self.call("POST", f"/api/v1/jobs/{job_id}/{what}")
        # 409: a list of times may be over
        assert answer.status in (200, 409), answer
        if answer.status == 200:
            self.wrote(answer.json)

    def pause(self):
        job_id = self.some_job()
        answer = self.call("POST", f"/api/v1/jobs/{job_id}/pause",
                           {"until": in_seconds(self.random.uniform(1, 4))})
        assert answer.status in (200, 409), answer  # 409: it is disabled
        if answer.status == 200:
            self.wrote(answer.json)

    def fire(self):
        self.count += 1
        request = (self.some_job(), f"{self.name}-{self.count}")
        self.ask_again(lambda: self.fire_ask(*request))

    def fire_ask(self, job_id, request):
        answer = self.call("POST", f"/api/v1/jobs/{job_id}/run", {"request_id": request})
        if answer.status == 404 and job_id not in self.jobs:
            return  # deleted before it could be asked again
        assert answer.status in (200, 201), answer  # 200: an earlier try had done it
        self.acknowledged.requests[job_id, request] = answer.json["id"]

    def delete(self):
        job_id = self.some_job()
        version = self.jobs.pop(job_id)
        now_ms = int(datetime.datetime.now(datetime.timezone.utc).timestamp() * 1000)
        self.acknowledged.asked_deleted[job_id] = now_ms
        self.ask_again(lambda: self.delete_ask(job_id, version))

    def delete_ask(self, job_id, version):
        answer = self.call("DELETE", f"/api/v1/jobs/{job_id}", version=version)
        if answer.status == 412:  # an unanswered change had been made all the same
            version = self.call("GET", f"/api/v1/jobs/{job_id}").json["version"]
            answer = self.call("DELETE", f"/api/v1/jobs/{job_id}", version=version)
        # 404: an earlier try had done it
        assert answer.status in (204, 404), answer
        self.acknowledged.deleted[job_id] = self.acknowledged.asked_deleted.pop(job_id)

    def some_job(self):
        return self.random.choice(sorted(self.jobs))

    def ask_again(self, ask):
        try:
            ask()
        except Lost:
            self.pending.append(ask)

    # --- the thread -----------------------------------------------------------------------------------

    def step(self):
        if self.pending:
            self.pending[0]()
            self.pending.pop(0)
        choices = ((self.create, 3), (self.update, 6), (self.switch, 3), (self.pause, 1),
                   (self.fire, 4), (self.delete, 1))
        if len(self.jobs) < 4:
            choices = ((self.create, 1),)
        self.random.choices([what for what, _ in choices],
                            [weight for _, weight in choices])[0]()

    def run(self):
        while not self.over.wait(self.random.expovariate(CLIENT_OPERATIONS_PER_S)):
            try:
                self.step()
            except Lost:
                pass
            except Exception as problem:  # shown by whoever joins the thread
                self.failure = problem
                return

    def finish(self):
        """Stops it and gets an answer for what is still open; the server must be up."""
        self.over.set()
        self.join()
        if self.failure:
            raise self.failure
        while self.pending:
            self.pending.pop(0)()


def in_seconds(seconds):
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
