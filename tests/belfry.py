"""Starts the real program for tests, and talks to it as people and programs do.

    with Belfry() as belfry:                    # all services, scratch data, set up, with a key
        job = belfry.api("POST", "/api/v1/jobs", {...}, expect=201).json
        belfry.kill9()
        belfry.restart()
        belfry.cli("job", "list", "--json").json

    with Sink() as sink:                        # an HTTP server that records what it is sent
        ... sink.url ... sink.wait_for(lambda requests: len(requests) == 3)

Nothing here sleeps for a fixed time: wait_for() polls a condition until it holds or time is up,
and then says what it waited for.
"""
import ctypes
import http.client
import http.server
import json as json_module
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("BELFRY_BUILD", TOP / "build"))
BINARY = BUILD / "belfry"
PASSWORD = "a long enough passphrase"
# Sanitizers and a busy machine make everything slower, never wrong: limits are for what hangs.
PATIENCE_S = float(os.environ.get("BELFRY_TEST_PATIENCE", "30"))

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def wait_for(condition, what, timeout=PATIENCE_S, pause=0.01):
    """Returns the first true value of condition(); fails after timeout seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout:g} s for {what() if callable(what) else what}")
        time.sleep(pause)


def free_port():
    """A loopback port below the kernel's own range, so that no outgoing connection takes it."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # of email.message.Message: get() ignores case
        self.body = body

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json_module.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:400]!r}>"


class CliResult:
    def __init__(self, process):
        self.code, self.out, self.err = process.returncode, process.stdout, process.stderr

    @property
    def json(self):
        return json_module.loads(self.out)

    def __repr__(self):
        return f"<exit {self.code}\n{self.out}{self.err}>"


def http_call(port, method, path, body=None, headers=None, timeout=PATIENCE_S):
    """One request on a connection of its own. body: bytes, text, or anything for JSON."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, (bytes, str)):
        body = json_module.dumps(body, ensure_ascii=False)
        headers.setdefault("Content-Type", "application/json")
    if isinstance(body, str):
        body = body.encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


class Belfry:
    """One process of Belfry. settings: {"section.key": value} go in by environment.

    services: names for `belfry serve NAME …`; none for all. set_up=False leaves it at the one-time
    code. data: a folder to use instead of a scratch one (it is then left behind).
    """

    def __init__(self, services=(), settings=None, data=None, set_up=True, ready=True,
                 binary=BINARY, wrapper=(), port=None):
        self.services = list(services)
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="belfry-test-"))
        self.data = pathlib.Path(data) if data else self.scratch / "data"
        self.log_path = self.scratch / "log"
        self.binary = binary
        self.wrapper = list(wrapper)      # such as ["faketime", "…"] before the program
        self.port = port or free_port()
        self.metrics_port = free_port()
        self.settings = {
            "http.listen": f"127.0.0.1:{self.port}",
            "metrics.listen": f"127.0.0.1:{self.metrics_port}",
            "data.dir": str(self.data),
            **(settings or {}),
        }
        self.set_up_wanted = set_up
        self.ready_wanted = ready
        self.key = None
        self.process = None

    # --- the process ----------------------------------------------------------------------------

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def environment(self):
        """What the program sees: nothing of ours, so that a test gives the same everywhere."""
        environment = {name: os.environ[name] for name in os.environ
                       if name in ("PATH", "HOME", "TZDIR", "TMPDIR") or name.endswith("SAN_OPTIONS")}
        environment["LANG"] = "C.UTF-8"
        for key, value in self.settings.items():
            if value is not None:
                environment["BELFRY_" + key.upper().replace(".", "_").replace("-", "_")] = str(value)
        return environment

    def start(self):
        assert self.process is None or self.process.poll() is not None, "it runs already"
        assert self.binary.exists(), f"{self.binary} is not built: ./run --build-only"
        main_thread = threading.current_thread() is threading.main_thread()

        def die_with_parent():  # also when pytest itself is killed
            if main_thread:
                _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

        with self.log_path.open("ab") as log:
            self.log_start = log.tell()
            self.process = subprocess.Popen(
                [*self.wrapper, str(self.binary), "serve", *self.services], cwd=self.scratch,
                env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=die_with_parent)
        if self.ready_wanted:
            self.wait_ready()
        return self

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"belfry ended with {self.process.returncode}:\n{self.log()}")
            try:
                return http_call(self.port, "GET", "/readyz").status == 200
            except OSError:
                return False
        wait_for(ready, lambda: f"/readyz of belfry; its log:\n{self.log()}", timeout=PATIENCE_S * 2)

    def log(self):
        """What this process and earlier ones of the same object printed."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_since_start(self):
        with self.log_path.open("rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def stop(self, timeout=PATIENCE_S * 2):
        """SIGTERM and wait; returns the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(timeout)

    def restart(self):
        """Starts it again, after a stop where it still runs; the key stays good."""
        self.stop()
        return self.start()

    def pss_kib(self):
        """Proportional memory of the serving process, in KiB."""
        text = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))

    def __enter__(self):
        try:
            self.start()
            if self.set_up_wanted:
                self.set_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, value, traceback):
        if kind is not None:
            print("--- end of belfry's log:\n" + "\n".join(self.log().splitlines()[-60:]))
        self.close()

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill9()
        if self.process:
            try:  # what is left of its session: its launcher, if that did not end by itself
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.scratch, ignore_errors=True)

    # --- talking to it --------------------------------------------------------------------------

    def setup_code(self):
        return (self.data / "setup-code").read_text().strip()

    def set_up(self, name="admin", password=PASSWORD):
        """First administrator, then an API key of theirs, which api() and cli() use."""
        self.api("POST", "/api/v1/setup",
                 {"code": self.setup_code(), "name": name, "password": password},
                 key=None, expect=(200, 201, 204))
        self.key = self.new_key(name, password)
        return self.key

    def sign_in(self, name="admin", password=PASSWORD):
        """Headers of a browser's session: the cookie, and the token for changes."""
        answer = self.api("POST", "/api/v1/session", {"name": name, "password": password},
                          key=None, expect=(200, 201))
        cookie = answer.headers["Set-Cookie"].split(";")[0]
        session = self.api("GET", "/api/v1/session", key=None, headers={"Cookie": cookie},
                           expect=200).json
        return {"Cookie": cookie, "X-Belfry-CSRF": session["csrf"], "Origin": self.url}

    def new_key(self, name="admin", password=PASSWORD, **options):
        """An API key of this user, with all their rights unless options say otherwise."""
        body = {"name": f"test-{random.randrange(10**9)}", **options}
        answer = self.api("POST", "/api/v1/keys", body, key=None,
                          headers=self.sign_in(name, password), expect=201).json
        return answer["key"]

    def api(self, method, path, body=None, *, key="own", headers=None, expect=None,
            timeout=PATIENCE_S):
        """key: "own" is the administrator's; None sends none. expect: status or statuses."""
        headers = dict(headers or {})
        if key == "own":
            key = self.key
        if key:
            headers["Authorization"] = f"Bearer {key}"
        answer = http_call(self.port, method, path, body, headers, timeout)
        if expect is not None:
            statuses = expect if isinstance(expect, tuple) else (expect,)
            assert answer.status in statuses, f"{method} {path}: {answer}"
        return answer

    def items(self, path, **query):
        """All items of a list, page by page."""
        items, cursor = [], None
        while True:
            parameters = dict(query, **({"cursor": cursor} if cursor else {}))
            separator = "&" if "?" in path else "?"
            text = "&".join(f"{name}={value}" for name, value in parameters.items())
            page = self.api("GET", path + (separator + text if text else ""), expect=200).json
            items += page["items"]
            cursor = page["next_cursor"]
            if not cursor:
                return items

    def metrics(self):
        """{"belfry_…{labels}": number}"""
        text = http_call(self.metrics_port, "GET", "/metrics").text
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in text.splitlines() if line and not line.startswith("#")}

    def cli(self, *args, stdin="", env=None, key="own", timeout=PATIENCE_S, check=False):
        """Runs `belfry ARGS` as a client of this process."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.scratch), "LANG": "C.UTF-8",
                       "BELFRY_URL": self.url, "BELFRY_DATA": str(self.data)}
        if key == "own" and self.key:
            environment["BELFRY_KEY"] = self.key
        elif key and key != "own":
            environment["BELFRY_KEY"] = key
        environment.update({name: value for name, value in os.environ.items()
                            if name.endswith("SAN_OPTIONS")})
        environment.update(env or {})
        result = CliResult(subprocess.run(
            [str(self.binary), *map(str, args)], input=stdin, env=environment, cwd=self.scratch,
            capture_output=True, text=True, timeout=timeout))
        if check:
            assert result.code == 0, result
        return result

    # --- what most tests need -------------------------------------------------------------------

    def job(self, name, task, schedule=None, **members):
        """Creates a job (manual unless a schedule is given) and returns it."""
        body = {"group": "default", "name": name, "schedule": schedule or {"manual": {}},
                "task": task, **members}
        return self.api("POST", "/api/v1/jobs", body, expect=201).json

    def run(self, job, **body):
        """Fires a job now and returns the run's id."""
        return self.api("POST", f"/api/v1/jobs/{job['id']}/run", body, expect=201).json["id"]

    TERMINAL = ("SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELLED", "SKIPPED", "SHED", "UNKNOWN")

    def wait_run(self, run_id, states=TERMINAL, timeout=PATIENCE_S):
        """The run, once it is in one of the states."""
        def there():
            run = self.api("GET", f"/api/v1/runs/{run_id}", expect=200).json
            return run if run["state"] in states else None
        return wait_for(there, lambda: f"run {run_id} to be one of {states}; it is " +
                        self.api("GET", f"/api/v1/runs/{run_id}").text, timeout, pause=0.02)


class SinkRequest:
    __slots__ = ("ns", "method", "path", "headers", "body")

    def __init__(self, ns, method, path, headers, body):
        self.ns, self.method, self.path, self.headers, self.body = ns, method, path, headers, body

    @property
    def run_id(self):
        """From Idempotency-Key: belfry-<run id>; None where it is absent."""
        match = re.fullmatch(r"belfry-(\d+)", self.headers.get("Idempotency-Key") or "")
        return int(match.group(1)) if match else None


class Sink:
    """Records every request with the time (ns since 1970) its head had arrived.

    answer(request) -> (status, headers, body) may be given; the default is 200 and "ok".
    """

    def __init__(self, answer=None):
        self.requests = []
        self.changed = threading.Condition()
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self):
                now = time.time_ns()
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = SinkRequest(now, self.command, self.path, self.headers, body)
                with sink.changed:
                    sink.requests.append(request)
                    sink.changed.notify_all()
                status, headers, text = answer(request) if answer else (200, {}, "ok")
                text = text.encode() if isinstance(text, str) else text
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 1024
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # a peer that was killed in the middle is part of the tests

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def wait_for(self, condition, what="requests at the sink", timeout=PATIENCE_S):
        """Waits until condition(requests) is true; returns its value."""
        end = time.monotonic() + timeout
        with self.changed:
            while not (value := condition(self.requests)):
                left = end - time.monotonic()
                assert left > 0, f"waited {timeout:g} s for {what}; there are {len(self.requests)}"
                self.changed.wait(left)
            return value
