"""The frame: exit codes, faults at the start, signals, health, metrics, configuration."""
import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess

import pytest

from belfry import BINARY, PATIENCE_S, TOP, Belfry, free_port, http_call, wait_for
from servers import Servers

USAGE, DEPENDENCY, DATA, BUSY, CONFIG = 64, 69, 73, 75, 78


def run(*args, settings=None, env=None, cwd=None, wrapper=()):
    """Runs `belfry ARGS` to its end; settings go in by environment."""
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **(env or {})}
    environment.update({name: value for name, value in os.environ.items()
                        if name.endswith("SAN_OPTIONS")})
    for key, value in (settings or {}).items():
        environment["BELFRY_" + re.sub("[.-]", "_", key).upper()] = str(value)
    return subprocess.run([*wrapper, str(BINARY), *map(str, args)], env=environment, cwd=cwd or "/",
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE_S)


@pytest.fixture
def settings(tmp_path):
    return {"data.dir": tmp_path / "data", "http.listen": f"127.0.0.1:{free_port()}",
            "metrics.listen": "off"}


def refused(result, code, *words):
    """It ended with this code and exactly one line that says why."""
    assert result.returncode == code, result
    lines = [line for line in result.stderr.splitlines() if "level=error" in line]
    assert len(lines) == 1, result.stderr
    for word in words:
        assert str(word) in lines[0]


# --- the start ----------------------------------------------------------------------------------

@pytest.mark.parametrize("key", ["http.listen", "metrics.listen"])
def test_port_in_use(settings, key):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        refused(run("serve", settings={**settings, key: address}), BUSY, "port is in use", address)


def test_data_folder_cannot_be_made(settings):
    refused(run("serve", settings={**settings, "data.dir": "/proc/belfry"}), DATA, "/proc/belfry")


def test_data_folder_without_parent(settings, tmp_path):
    folder = tmp_path / "no" / "such"
    refused(run("serve", settings={**settings, "data.dir": folder}), DATA, folder)


def test_data_folder_is_a_file(settings, tmp_path):
    (tmp_path / "data").write_text("")
    refused(run("serve", settings=settings), DATA, "is not a folder")


def test_data_folder_cannot_be_written(settings, tmp_path):
    (tmp_path / "data").mkdir(mode=0o500)
    # root may write everywhere, unless it is without this capability
    wrapper = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    refused(run("serve", settings=settings, wrapper=wrapper), DATA, "cannot write to the data folder")


def test_second_process_on_the_same_data_folder(settings):
    with Belfry(set_up=False) as belfry:
        result = run("serve", settings={**settings, "data.dir": belfry.data})
        refused(result, BUSY, "in use by process", belfry.process.pid)
        belfry.kill9()  # leaves no stale lock behind
        belfry.start()


def test_address_that_is_none(settings):
    refused(run("serve", settings={**settings, "http.listen": "somewhere"}), CONFIG, "somewhere")


def test_services_apart_need_a_join_key(settings):
    refused(run("serve", "auth", settings=settings), CONFIG, "cluster.join_key")
    refused(run("serve", "auth", settings={**settings, "cluster.join_key": "short"}), CONFIG,
            "cluster.join_key", "32")


def test_internal_url_for_a_wildcard_address(settings):
    settings = {**settings, "cluster.join_key": "k" * 32, "internal.listen": "0.0.0.0:0"}
    refused(run("serve", settings=settings), CONFIG, "internal.url")


@pytest.mark.parametrize("args, words", [
    (["serve", "nobody"], ["nobody", "job-admin"]),
    (["serve", "--bad"], ["--bad"]),
    (["servr"], ["servr", "serve"]),
    ([], ["usage:"]),
])
def test_usage(args, words):
    result = run(*args)
    assert result.returncode == USAGE
    for word in words:
        assert word in result.stderr


def test_help():
    for args in ["--help"], ["serve", "--help"], ["config", "--help"], ["version", "--help"]:
        result = run(*args)
        assert result.returncode == 0 and "usage: belfry" in result.stdout and not result.stderr


def test_version():
    assert re.match(r"belfry \d+\.\d+\.\d+\n", run("version").stdout)
    assert json.loads(run("version", "--json").stdout)["version"] == run("--version").stdout.split()[1]


def test_secrets_stay_private(settings):
    with Belfry(set_up=False) as belfry:
        assert stat.S_IMODE(belfry.data.stat().st_mode) == 0o700
        for path in filter(pathlib.Path.is_file, belfry.data.rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_key_that_others_may_read(settings, tmp_path):
    with Belfry(set_up=False) as belfry:
        belfry.stop()
        (belfry.data / "node.key").chmod(0o644)
        refused(run("serve", settings={**settings, "data.dir": belfry.data}), CONFIG, "node.key")


# --- a database that is away ----------------------------------------------------------------------

def test_database_away_at_the_start():
    port = free_port()
    settings = {"store.url": f"postgres://belfry@127.0.0.1:{port}/belfry"}
    with Belfry(settings=settings, set_up=False, ready=False) as belfry:
        wait_for(lambda: "waiting for the store" in belfry.log(), "the line that says what for")
        assert str(port) in belfry.log()
        assert http_call(belfry.metrics_port, "GET", "/healthz").status == 200
        answer = http_call(belfry.metrics_port, "GET", "/readyz")
        assert answer.status == 503 and answer.text.startswith("not ready: ")
        # the gateway answers meanwhile, and says no more than it must
        assert http_call(belfry.port, "GET", "/healthz").status == 200
        assert belfry.api("GET", "/api/v1/jobs", key="bf_x").status == 503
        assert belfry.stop() == 0  # a stop does not wait for it


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_database_that_comes_later(kind):
    with Servers(kind) as servers:
        server = getattr(servers, kind)
        settings = {"store.url": server.fresh("later"), "store.password": server.password}
        server.stop()
        with Belfry(settings=settings, set_up=False, ready=False) as belfry:
            wait_for(lambda: "waiting for the store" in belfry.log(), "the line that says what for")
            assert server.password not in belfry.log()
            server.start()
            belfry.wait_ready()
            belfry.set_up()
            # and goes away once more: not ready, then by itself ready again
            server.stop()
            wait_for(lambda: http_call(belfry.port, "GET", "/readyz").status == 503, "the loss")
            server.start()
            belfry.wait_ready()
            assert belfry.api("GET", "/api/v1/users", expect=200).json["items"]


def test_database_of_no_known_kind(settings):
    refused(run("serve", settings={**settings, "store.url": "oracle://x"}), CONFIG, "store.url")


# --- signals --------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop(number):
    with Belfry(set_up=False) as belfry:
        belfry.process.send_signal(number)
        assert belfry.process.wait(PATIENCE_S) == 0
        assert "msg=stopped" in belfry.log()


def test_reload(tmp_path):
    config = tmp_path / "belfry.ini"
    config.write_text("[log]\nlevel = info\n")
    with Belfry(settings={"config": config}, set_up=False) as belfry:
        assert "level=debug" not in belfry.log()
        config.write_text("[log]\nlevel = error\n")
        belfry.process.send_signal(signal.SIGHUP)
        # at the level error nothing is said of it, so a broken file follows
        config.write_text("[log]\nlevel = loud\n")

        def complained():
            belfry.process.send_signal(signal.SIGHUP)
            return "configuration not read again" in belfry.log()
        wait_for(complained, "a complaint about the file")
        assert str(config) in belfry.log() and belfry.process.poll() is None


# --- health and metrics ---------------------------------------------------------------------------

def test_health_and_metrics():
    with Belfry(set_up=False) as belfry:
        for port in belfry.port, belfry.metrics_port:
            assert http_call(port, "GET", "/healthz").status == 200
            assert http_call(port, "GET", "/readyz").status == 200
        text = http_call(belfry.metrics_port, "GET", "/metrics").text
        for line in text.splitlines():
            assert re.fullmatch(r"# (HELP|TYPE) belfry_\S+ .+"
                                r"|belfry_[a-z0-9_]+(\{([a-z_]+=\"[^\"]*\",?)+\})? -?[0-9.e+-]+",
                                line), line
        metrics = belfry.metrics()
        assert metrics["belfry_process_resident_bytes"] > 1e6
        assert metrics['belfry_store_committed_total{pool="api"}'] > 0
        assert 0 < metrics["belfry_process_open_fds"] < 200
        assert http_call(belfry.metrics_port, "GET", "/api/v1/jobs").status == 404
        assert http_call(belfry.port, "GET", "/metrics").status in (401, 404, 503)


def test_metrics_off(settings):
    with Belfry(settings={"metrics.listen": "off"}, set_up=False) as belfry:
        with pytest.raises(OSError):
            http_call(belfry.metrics_port, "GET", "/metrics")


# --- configuration --------------------------------------------------------------------------------

def test_configuration_page_is_what_the_program_prints():
    page = (TOP / "docs" / "configuration.md").read_text()
    assert run("config", "--docs").stdout == page, "belfry config --docs > docs/configuration.md"


def test_config_shows_where_values_come_from(tmp_path):
    path = tmp_path / "my.ini"
    path.write_text("[http]\nlisten = 127.0.0.1:1\n[store]\npassword = hush\n")
    result = run("config", "--config", path, "--json", settings={"node.name": "n1"})
    keys = {row["key"]: row for row in json.loads(result.stdout)}
    assert keys["http.listen"]["value"] == "127.0.0.1:1"
    assert keys["http.listen"]["source"] == f"{path}:2"
    assert keys["node.name"]["source"] == "env BELFRY_NODE_NAME"
    assert keys["log.level"]["source"] == "default"
    assert keys["store.password"]["value"] == "(set)" and "hush" not in result.stdout
    text = run("config", "--config", path).stdout
    assert re.search(rf"^listen = 127.0.0.1:1 +; {path}:2$", text, re.M) and "hush" not in text


def test_config_file_that_lies_in_the_working_folder(tmp_path):
    (tmp_path / "belfry.ini").write_text("[node]\nname = here\n")
    assert "name = here" in run("config", cwd=tmp_path).stdout


@pytest.mark.parametrize("text, words", [
    ("[http]\nlistn = x\n", [":2", "listn", "[http]"]),
    ("[nothing]\nx = y\n", [":2", "[nothing]"]),
    ("[node]\ndrain_timeout = soon\n", [":2", "node.drain_timeout", "soon"]),
    ("[store]\npassword_file = /no/such\n", ["/no/such"]),
    ("what\n", [":1"]),
])
def test_config_errors(tmp_path, text, words):
    path = tmp_path / "bad.ini"
    path.write_text(text)
    refused(run("serve", "--config", path), CONFIG, *words)
    result = run("config", "--config", path)
    assert result.returncode == CONFIG and words[0] in result.stderr


def test_config_file_that_is_missing():
    refused(run("serve", "--config", "/no/such.ini"), CONFIG, "/no/such.ini")


def test_unknown_name_in_the_environment():
    refused(run("serve", env={"BELFRY_HTTP_LISTN": "x"}), CONFIG, "BELFRY_HTTP_LISTN")


def test_every_ini_in_the_documentation_is_read(tmp_path):
    for page in [TOP / "README.md", *sorted((TOP / "docs").rglob("*.md"))]:
        for number, block in enumerate(re.findall(r"```ini\n(.*?)```", page.read_text(), re.S)):
            path, secret = tmp_path / f"{page.stem}-{number}.ini", tmp_path / "secret"
            secret.write_text("hush\n")
            path.write_text(re.sub(r"(?m)^(\w+_file = ).*", rf"\g<1>{secret}", block))
            result = run("config", "--config", path)
            assert result.returncode == 0, f"{page}: {result.stderr}"
