"""The commands of both READMEs, run as they stand there; and ./run."""
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from belfry import BINARY, BUILD, PASSWORD, TOP, Belfry, free_port, http_call, wait_for

READMES = ["README.md", "README.zh-CN.md"]


def block(readme, name):
    text = (TOP / readme).read_text()
    return re.search(rf"<!-- test: {name} -->\n```sh\n(.*?)```", text, re.S).group(1)


def terminal_run(script, environment, folder):
    """Runs a script on a terminal of its own; answers each question for a password."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execve("/bin/bash", ["bash", "--norc", "-eu", "-c", script], environment)
    output, asked, end = "", 0, time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([terminal], [], [], 1)[0]:
            try:
                output += os.read(terminal, 65536).decode(errors="replace")
            except OSError:  # the terminal is closed: all have ended
                break
        questions = re.findall(r"(?:Password|Once more)[^\n]*: ", output)
        if len(questions) > asked:
            asked = len(questions)
            os.write(terminal, f"{PASSWORD}\n".encode())
    os.close(terminal)
    if os.waitpid(child, os.WNOHANG)[0] == 0 and time.monotonic() >= end:
        os.kill(child, signal.SIGKILL)
        raise AssertionError("the script did not end:\n" + output)
    return output


@pytest.mark.parametrize("readme", READMES)
def test_first_steps_lead_to_a_job_that_fires(readme):
    with Belfry(set_up=False) as belfry:
        code = belfry.setup_code()
        steps = block(readme, "first-steps")
        assert "XXXX-XXXX-XXXX" in steps and "$PWD/build" in steps
        environment = {"PATH": f"{BUILD}:{os.environ['PATH']}", "HOME": str(belfry.scratch),
                       "LANG": "C.UTF-8", "BELFRY_URL": belfry.url, "TERM": "dumb"}
        output = terminal_run(steps.replace("XXXX-XXXX-XXXX", code), environment, belfry.scratch)
        assert PASSWORD not in output, "the password must not be echoed"
        assert "created default/hello" in output, output
        assert "outcome" in output, output
        belfry.key = re.search(r"key=(\S+)",
                               (belfry.scratch / ".config/belfry/key").read_text()).group(1)
        runs = wait_for(lambda: belfry.cli("run", "list", "--job", "hello", "--state", "SUCCEEDED",
                                           "--json").json, "a run of hello", timeout=60)
        assert belfry.cli("run", "log", str(runs[0]["id"])).out.strip().endswith("Z") or \
            re.search(r"\d{4}-\d\d-\d\d", belfry.cli("run", "log", str(runs[0]["id"])).out)
        curl = block(readme, "curl").replace("http://127.0.0.1:8680", belfry.url)
        result = subprocess.run(["bash", "--norc", "-eu", "-c", curl], env=environment,
                                capture_output=True, text=True, timeout=30)
        assert '"name":"clock"' in result.stdout, result
        assert belfry.cli("job", "run", "clock", "--wait").code == 0


@pytest.mark.parametrize("readme", READMES)
def test_links_lead_somewhere(readme):
    for target in re.findall(r"\]\(([^)#:]+)\)", (TOP / readme).read_text()):
        assert (TOP / target).exists(), target


def test_run_builds_and_serves(tmp_path):
    if BUILD != TOP / "build":
        pytest.skip(f"./run builds in build/, and this is {BUILD.name}")
    port, data = free_port(), tmp_path / "data"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "BELFRY_DATA": str(data),
                   "BELFRY_HTTP_LISTEN": f"127.0.0.1:{port}", "BELFRY_METRICS_LISTEN": "off"}
    subprocess.run([TOP / "run", "--build-only"], env=environment, check=True, timeout=600,
                   capture_output=True)
    server = subprocess.Popen([TOP / "run"], env=environment, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        def ready():
            try:
                return http_call(port, "GET", "/readyz").status == 200
            except OSError:
                return False
        wait_for(ready, "/readyz after ./run", timeout=120)
        assert (data / "setup-code").exists()
        assert os.readlink(f"/proc/{server.pid}/exe") == str(BINARY)
    finally:
        server.terminate()
        assert server.wait(60) == 0
