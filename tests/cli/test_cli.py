"""The command line as people and scripts use it, against a real server."""
import json
import os
import re
import stat
import unicodedata

import pytest

from belfry import Belfry, PASSWORD, wait_for

OK, REFUSED, USAGE, NOT_FOUND, DENIED, UNREACHABLE = range(6)


@pytest.fixture
def job(belfry, request):
    """A manual job that prints its parameter, named after the test."""
    name = re.sub(r"\W+", "-", request.node.name)
    belfry.cli("job", "create", name, "--manual", "--script", "echo out $BELFRY_PARAM_WHO",
               "-p", "WHO=lee", check=True)
    yield name
    belfry.cli("job", "delete", name)


# --- jobs ---------------------------------------------------------------------------------------

def test_job_create_with_options_is_what_show_tells(belfry):
    belfry.cli("job", "create", "nightly", "--cron", "0 2 * * *", "--zone", "Asia/Shanghai",
               "--http", "http://127.0.0.1:9/sync", "--header", "X-A: b", "--body", "{}",
               "--retries", "3", "--timeout", "5m", "--tag", "fund", "--tag", "night",
               "--owner", "ops", "--overlap", "queue", "--misfire", "skip",
               "--priority", "7", "--description", "夜间同步", "-p", "day=1=2", "--disabled",
               check=True)
    job = belfry.cli("job", "show", "default/nightly", "--json", check=True).json
    assert job["schedule"]["cron"]["expression"] == "0 2 * * *"
    assert job["schedule"]["cron"]["zone"] == "Asia/Shanghai"
    assert job["task"]["http"]["method"] == "POST"
    assert job["task"]["http"]["headers"] == [{"name": "X-A", "value": "b"}]
    assert job["task"]["http"]["body"] == "{}"
    assert (job["retry"]["max"], job["timeout_ms"], job["priority"]) == (3, 300000, 7)
    assert job["tags"] == ["fund", "night"]
    assert (job["owner"], job["description"]) == ("ops", "夜间同步")
    assert (job["overlap"]["policy"], job["misfire"]["policy"]) == ("queue", "skip")
    assert job["promise"] == "at_least_once"
    assert job["parameters"] == {"day": "1=2"}
    assert job["enabled"] is False
    text = belfry.cli("job", "show", str(job["id"]), check=True).out
    assert "default/nightly" in text and "夜间同步" in text and "disabled" in text


def test_job_at_most_once(belfry, job):
    belfry.cli("job", "update", job, "--at-most-once", check=True)
    assert belfry.cli("job", "show", job, "--json").json["promise"] == "at_most_once"
    refused = belfry.cli("job", "update", job, "--retries", "2")
    assert refused.code == REFUSED and "retry.max" in refused.err


def test_job_file_goes_round(belfry, job, tmp_path):
    """What show --json prints can be edited and given to update; a stale file is refused."""
    shown = belfry.cli("job", "show", job, "--json", check=True).json
    shown["description"] = "edited"
    file = tmp_path / "job.json"
    file.write_text(json.dumps(shown))
    belfry.cli("job", "update", job, "-f", str(file), check=True)
    assert belfry.cli("job", "show", job, "--json").json["description"] == "edited"
    stale = belfry.cli("job", "update", job, "-f", str(file))
    assert stale.code == REFUSED and "version" in stale.err


def test_job_create_from_standard_input(belfry):
    definition = {"name": "from-stdin", "schedule": {"manual": {}},
                  "task": {"script": {"interpreter": "sh", "script": "true"}}}
    created = belfry.cli("job", "create", "-f", "-", "--json", stdin=json.dumps(definition),
                         check=True).json
    assert (created["group"], created["name"]) == ("default", "from-stdin")
    copy = belfry.cli("job", "create", "a-copy", "-f", "-", "--json", stdin=json.dumps(definition),
                      check=True).json
    assert copy["name"] == "a-copy"


def test_job_update_changes_only_what_is_given(belfry, job):
    before = belfry.cli("job", "show", job, "--json", check=True).json
    belfry.cli("job", "update", job, "--every", "1h", "--overlap", "parallel", check=True)
    after = belfry.cli("job", "show", job, "--json", check=True).json
    assert after["schedule"]["every"]["interval_ms"] == 3600000
    assert after["overlap"] == {**before["overlap"], "policy": "parallel"}
    assert after["task"] == before["task"] and after["parameters"] == before["parameters"]


def test_job_script_from_a_file(belfry, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("print('from a file')\n")
    belfry.cli("job", "create", "script-file", "--manual", "--interpreter", "python3",
               "--script", f"@{script}", check=True)
    run = belfry.cli("job", "run", "script-file", "--follow", check=True)
    assert run.out == "from a file\n"


def test_job_pause_and_resume(belfry, job):
    belfry.cli("job", "update", job, "--every", "1h", check=True)
    paused = belfry.cli("job", "pause", job, "--for", "30m", "--json", check=True).json
    assert paused["paused_until"]
    assert "paused" in belfry.cli("job", "list", "--search", job).out
    assert "until somebody resumes it" in belfry.cli("job", "pause", job, check=True).out
    assert belfry.cli("job", "resume", job, "--json", check=True).json["paused_until"] is None


def test_job_fires_and_list(belfry):
    belfry.cli("job", "create", "yearly", "--cron", "0 0 1 1 *", "--zone", "UTC", "--script", "true",
               "--tag", "rare", check=True)
    fires = belfry.cli("job", "fires", "yearly", "-n", "3", env={"TZ": "Asia/Shanghai"}, check=True)
    assert [line[4:] for line in fires.out.splitlines()] == ["-01-01 08:00:00+08:00"] * 3
    listed = belfry.cli("job", "list", "--tag", "rare", "--json", check=True).json
    assert [item["name"] for item in listed] == ["yearly"]
    assert belfry.cli("job", "list", "--tag", "nobody has it", "--json", check=True).json == []


def test_job_list_reads_all_pages(belfry):
    for number in range(250):
        belfry.job(f"page-{number:03}", {"script": {"interpreter": "sh", "script": "true"}},
                   tags=["pages"], enabled=False)
    listed = belfry.cli("job", "list", "--tag", "pages", "--json", check=True).json
    assert [item["name"] for item in listed] == [f"page-{number:03}" for number in range(250)]
    assert len(belfry.cli("job", "list", "--tag", "pages", "--limit", "3", "--json").json) == 3


def test_job_names_of_groups(belfry):
    belfry.api("POST", "/api/v1/groups", {"name": "基金"}, expect=201)
    belfry.cli("job", "create", "基金/日终清算", "--manual", "--script", "true", check=True)
    belfry.cli("job", "create", "plain", "--manual", "--script", "true", check=True)
    assert belfry.cli("job", "show", "基金/日终清算", "--json", check=True).json["group"] == "基金"
    assert belfry.cli("job", "show", "default/日终清算").code == NOT_FOUND
    lines = belfry.cli("job", "list", check=True).out.splitlines()
    where = {width(line[:line.index(word)]) for line in lines for word in ("STATE", "enabled")
             if word in line}
    assert len(where) == 1, "the columns stand below each other"


def width(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


# --- runs ---------------------------------------------------------------------------------------

def test_job_run_wait_tells_by_its_exit_code(belfry, job):
    assert "SUCCEEDED" in belfry.cli("job", "run", job, "--wait", check=True).out
    belfry.cli("job", "create", "fails", "--manual", "--script", "echo no >&2; exit 3", check=True)
    failed = belfry.cli("job", "run", "fails", "--wait")
    assert failed.code == REFUSED and "FAILED" in failed.out
    run = belfry.cli("job", "run", "fails", "--wait", "--json")
    assert run.code == REFUSED and run.json["exit_code"] == 3


def test_job_run_with_other_parameters(belfry, job):
    result = belfry.cli("job", "run", job, "-p", "WHO=kim", "--follow", check=True)
    assert result.out == "out kim\n"


def test_job_run_with_a_request_id_is_one_run(belfry, job):
    first = belfry.cli("job", "run", job, "--request-id", "r-1", check=True).out
    assert belfry.cli("job", "run", job, "--request-id", "r-1", check=True).out == first


def test_run_show_log_list_rerun(belfry, job):
    run = belfry.cli("job", "run", job, "--wait", "--json", check=True).json
    number = str(run["id"])
    assert belfry.cli("run", "log", number, check=True).out == "out lee\n"
    line = json.loads(belfry.cli("run", "log", number, "--json", check=True).out)
    assert line["stream"] == "stdout" and line["text"] == "out lee"
    assert belfry.cli("run", "log", number, "--search", "absent", check=True).out == ""
    shown = belfry.cli("run", "show", number, check=True).out
    assert number in shown and "SUCCEEDED" in shown and f"default/{job}" in shown
    again = belfry.cli("run", "rerun", number, "--json", check=True).json
    assert again["parent_run_id"] == run["id"]
    wait_for(lambda: len(belfry.cli("run", "list", "--job", job, "--state", "SUCCEEDED",
                                    "--json").json) == 2, "the second run")
    assert belfry.cli("run", "list", "--job", job, "-n", "1", "--json").json[0]["id"] == again["id"]


def test_run_log_of_standard_error_goes_there(belfry):
    belfry.cli("job", "create", "both", "--manual", "--script", "echo out; echo err >&2", check=True)
    run = belfry.cli("job", "run", "both", "--wait", "--json", check=True).json
    log = belfry.cli("run", "log", str(run["id"]), check=True)
    assert (log.out, log.err) == ("out\n", "err\n")


def test_run_log_cannot_drive_the_terminal(belfry):
    belfry.cli("job", "create", "escapes", "--manual", "--script", r"printf '\033]0;title\007\n'",
               check=True)
    run = belfry.cli("job", "run", "escapes", "--wait", "--json", check=True).json
    log = belfry.cli("run", "log", str(run["id"]), check=True).out
    assert "title" in log and "\x1b" not in log and "\x07" not in log


def test_run_log_follow_ends_with_the_run(belfry):
    belfry.cli("job", "create", "lines", "--manual",
               "--script", "for i in $(seq 2000); do echo line $i; done", check=True)
    run_id = belfry.cli("job", "run", "lines", "--json", check=True).json["id"]
    followed = belfry.cli("run", "log", str(run_id), "--follow", check=True).out.splitlines()
    assert followed == [f"line {number}" for number in range(1, 2001)]
    assert belfry.cli("run", "log", str(run_id), check=True).out.splitlines() == followed


def test_run_stop(belfry):
    belfry.cli("job", "create", "sleeps", "--manual", "--script", "exec tail -f /dev/null",
               check=True)
    run_id = belfry.cli("job", "run", "sleeps", "--json", check=True).json["id"]
    belfry.wait_run(run_id, ("RUNNING",))
    stopped = belfry.cli("run", "stop", str(run_id), "--reason", "wrong day", "--wait", check=True)
    assert "CANCELLED" in stopped.out
    assert belfry.cli("run", "stop", str(run_id)).code == REFUSED


def test_job_status(belfry, job):
    belfry.cli("job", "run", job, "--wait", check=True)
    text = belfry.cli("job", "status", job, check=True).out
    assert "1 of the last 1 ended runs" in text and "SUCCEEDED" in text


def test_why(belfry, job):
    run = belfry.cli("job", "run", job, "--wait", "--json", check=True).json
    told = belfry.cli("why", job, run["fire_at"], "--json", check=True).json
    assert told["outcome"] == "SUCCEEDED" and told["run"]["id"] == run["id"]
    text = belfry.cli("why", job, run["fire_at"], check=True).out
    assert "SUCCEEDED" in text and str(run["id"]) in text


# --- exit codes, languages ----------------------------------------------------------------------

@pytest.mark.parametrize("line, code", [
    (["job"], USAGE),
    (["job", "frobnicate"], USAGE),
    (["job", "show"], USAGE),
    (["job", "show", "a", "b"], USAGE),
    (["job", "list", "--limit", "many"], USAGE),
    (["job", "create"], USAGE),
    (["job", "create", "x", "--cron", "* * * * *", "--every", "1s", "--script", "true"], USAGE),
    (["job", "create", "x", "--every", "1s", "--script", "true", "--http", "http://a/"], USAGE),
    (["job", "create", "x", "--every", "often", "--script", "true"], USAGE),
    (["job", "create", "-f", "/no/such/file"], USAGE),
    (["job", "pause", "x", "--until", "tomorrow"], USAGE),
    (["run", "list", "--state", "GREAT"], USAGE),
    (["why", "x", "noon"], USAGE),
    (["key", "revoke", "mine"], USAGE),
    (["job", "create", "x", "--cron", "0 2 30 2 *", "--script", "true"], REFUSED),
    (["job", "create", "x", "--every", "1s"], REFUSED),
    (["job", "show", "nobody"], NOT_FOUND),
    (["job", "show", "no such/group"], NOT_FOUND),
    (["job", "show", "2147483647"], NOT_FOUND),
    (["job", "delete", "nobody"], NOT_FOUND),
    (["run", "show", "123"], NOT_FOUND),
    (["run", "show", "../jobs"], USAGE),
    (["run", "log", "123", "--follow"], NOT_FOUND),
    (["user", "disable", "nobody"], NOT_FOUND),
    (["key", "revoke", "2147483647"], NOT_FOUND),
])
def test_exit_codes(belfry, line, code):
    result = belfry.cli(*line)
    assert result.code == code, result
    assert result.out == "" and "belfry" in result.err


def test_exit_code_without_and_with_a_bad_key(belfry):
    assert belfry.cli("job", "list", key=None).code == DENIED
    assert belfry.cli("job", "list", key="bf_no_such_key").code == DENIED
    # one with less rights than it takes
    viewer = belfry.cli("key", "create", "viewer", "--role", "viewer", check=True).out.strip()
    assert belfry.cli("job", "list", key=viewer).code == OK
    refused = belfry.cli("job", "create", "x", "--manual", "--script", "true", key=viewer)
    assert refused.code == DENIED


def test_exit_code_where_nobody_answers(belfry):
    result = belfry.cli("job", "list", env={"BELFRY_URL": "http://127.0.0.1:1"})
    assert result.code == UNREACHABLE and "127.0.0.1:1" in result.err
    # something answers, but it is no Belfry
    result = belfry.cli("job", "list", "--url", f"http://127.0.0.1:{belfry.metrics_port}")
    assert result.code in (REFUSED, UNREACHABLE) and "not as Belfry does" in result.err


def test_texts_follow_the_locale(belfry):
    line = ["job", "create", "x", "--cron", "0 2 30 2 *", "--script", "true"]
    english = belfry.cli(*line, env={"LANG": "en_US.UTF-8"}).err
    chinese = belfry.cli(*line, env={"LC_ALL": "zh_CN.UTF-8"}).err
    assert "never fires" in english
    assert "schedule.cron" in chinese and re.search(r"[一-鿿]{4}", chinese)
    assert re.search(r"[一-鿿]{4}", belfry.cli("job", "show", "nobody",
                                               env={"LANG": "zh_CN.UTF-8"}).err)


# --- help ---------------------------------------------------------------------------------------

COMMANDS = {
    "job": "list show create update delete enable disable pause resume run fires status".split(),
    "run": "list show log stop rerun".split(),
    "user": "setup sign-in sign-out list create grant enable disable password delete".split(),
    "key": "list create revoke rotate".split(),
}


@pytest.mark.parametrize("command, sub", [(command, sub) for command, subs in COMMANDS.items()
                                          for sub in subs] + [("why", None), ("doctor", None),
                                                              ("completion", None)])
def test_help_teaches(belfry, command, sub):
    words = [command] + ([sub] if sub else [])
    result = belfry.cli(*words, "--help", key=None, env={"BELFRY_URL": "http://127.0.0.1:1"})
    assert result.code == OK and result.err == ""
    assert result.out.startswith("usage: belfry " + " ".join(words))
    assert "--json" in result.out
    if sub:
        assert f"  {sub} " in belfry.cli(command, "--help", check=True).out


def test_top_help_lists_every_command(belfry):
    text = belfry.cli("--help", check=True).out
    for command in "serve job run why cron user key config doctor completion version".split():
        assert re.search(rf"^  {command}\s", text, re.M), command


# --- users and keys -----------------------------------------------------------------------------

def key_file(belfry):
    return belfry.scratch / ".config" / "belfry" / "key"


def test_user_sign_in_and_out(belfry):
    belfry.cli("user", "create", "lee", "--role", "developer", "--password-stdin",
               stdin=PASSWORD + "\n", check=True)
    wrong = belfry.cli("user", "sign-in", "lee", "--password-stdin", stdin="not the password\n",
                       key=None)
    assert wrong.code == DENIED and not key_file(belfry).exists()
    signed_in = belfry.cli("user", "sign-in", "lee", "--password-stdin", stdin=PASSWORD + "\n",
                           key=None, check=True)
    assert stat.S_IMODE(key_file(belfry).stat().st_mode) == 0o600
    secret = re.search(r"bf_\S+", key_file(belfry).read_text()).group()
    assert secret not in signed_in.out + signed_in.err + belfry.log()
    belfry.cli("job", "list", key=None, check=True)
    # the key belongs to the server that it was made at
    elsewhere = f"http://localhost:{belfry.port}"
    assert belfry.cli("job", "list", "--url", elsewhere, key=None).code == DENIED
    # a file that others can read is not used
    key_file(belfry).chmod(0o644)
    assert belfry.cli("job", "list", key=None).code == DENIED
    key_file(belfry).chmod(0o600)
    belfry.cli("user", "sign-out", key=None, check=True)
    assert not key_file(belfry).exists()
    assert belfry.cli("job", "list", key=secret).code == DENIED


def test_user_roles(belfry):
    belfry.cli("user", "create", "kim", "--password-stdin", stdin=PASSWORD + "\n", check=True)
    assert "operator of default" in belfry.cli("user", "grant", "kim", "operator", "-g", "default",
                                               check=True).out
    belfry.cli("user", "grant", "kim", "viewer", check=True)
    grants = {user["name"]: user["grants"]
              for user in belfry.cli("user", "list", "--json", check=True).json}["kim"]
    assert {(grant["group"], grant["role"]) for grant in grants} == {("default", "operator"),
                                                                     ("*", "viewer")}
    belfry.cli("user", "grant", "kim", "none", "-g", "default", check=True)
    belfry.cli("user", "disable", "kim", check=True)
    assert belfry.cli("user", "sign-in", "kim", "--password-stdin", stdin=PASSWORD + "\n",
                      key=None).code == DENIED
    belfry.cli("user", "enable", "kim", check=True)
    belfry.cli("user", "password", "kim", "--password-stdin", stdin="another long passphrase\n",
               check=True)
    belfry.cli("user", "delete", "kim", check=True)
    assert belfry.cli("user", "delete", "kim").code == NOT_FOUND
    refused = belfry.cli("user", "disable", "admin")
    assert refused.code == REFUSED and "administrator" in refused.err


def test_user_changes_the_own_password(belfry):
    belfry.cli("user", "create", "han", "--role", "viewer", "--password-stdin",
               stdin=PASSWORD + "\n", check=True)
    belfry.cli("user", "sign-in", "han", "--password-stdin", stdin=PASSWORD + "\n", key=None,
               check=True)
    wrong = belfry.cli("user", "password", "--password-stdin", key=None,
                       stdin="not the password\na brand new passphrase\n")
    assert wrong.code == REFUSED
    belfry.cli("user", "password", "--password-stdin", key=None,
               stdin=f"{PASSWORD}\na brand new passphrase\n", check=True)
    belfry.cli("user", "sign-in", "han", "--password-stdin", stdin="a brand new passphrase\n",
               key=None, check=True)
    belfry.cli("user", "sign-out", key=None, check=True)


def test_user_create_refuses_a_weak_password(belfry):
    result = belfry.cli("user", "create", "weak", "--password-stdin", stdin="short\n")
    assert result.code == REFUSED and "password" in result.err
    assert belfry.cli("user", "create", "weak", "--password-stdin", stdin="").code == USAGE


def test_key_life(belfry):
    secret = belfry.cli("key", "create", "deploy", "--role", "viewer", "--for", "90d", check=True)
    assert re.fullmatch(r"bf_\S+\n", secret.out)
    belfry.cli("job", "list", key=secret.out.strip(), check=True)
    listed = [key for key in belfry.cli("key", "list", "--json", check=True).json
              if key["name"] == "deploy"]
    number = str(listed[0]["id"])
    rotated = belfry.cli("key", "rotate", number, "--overlap", "0s", check=True).out.strip()
    assert belfry.cli("job", "list", key=secret.out.strip()).code == DENIED
    belfry.cli("job", "list", key=rotated, check=True)
    belfry.cli("key", "revoke", number, check=True)
    assert belfry.cli("job", "list", key=rotated).code == DENIED
    assert "revoked" in belfry.cli("key", "list", check=True).out


def test_setup_makes_the_first_administrator():
    with Belfry(set_up=False) as belfry:
        code = belfry.setup_code()
        assert belfry.cli("job", "list", key="bf_x").code in (DENIED, REFUSED, UNREACHABLE)
        wrong = belfry.cli("user", "setup", "--code", "AAAA-AAAA-AAAA", "--name", "root",
                           "--password-stdin", stdin=PASSWORD + "\n")
        assert wrong.code == DENIED, wrong
        belfry.cli("user", "setup", "--code", code, "--name", "root", "--password-stdin",
                   stdin=PASSWORD + "\n", check=True)
        belfry.cli("job", "list", check=True)
        assert not (belfry.data / "setup-code").exists()


# --- doctor -------------------------------------------------------------------------------------

def findings(result):
    return {finding["check"]: finding["verdict"] for finding in result.json}


def test_doctor_finds_a_healthy_machine(belfry):
    result = belfry.cli("doctor", "--json", check=True)
    found = findings(result)
    assert "bad" not in found.values()
    for check in ("configuration", "data folder", "store", "port", "clock", "time zones", "scripts",
                  "server", "signed in"):
        assert check in found
    assert "time zones" in belfry.cli("doctor", check=True).out


def test_doctor_finds_what_is_wrong(belfry, tmp_path):
    open_folder = tmp_path / "open"
    open_folder.mkdir(mode=0o755)
    os.chmod(open_folder, 0o755)
    bad_folder = belfry.cli("doctor", "--json", env={"BELFRY_DATA": str(open_folder)})
    assert bad_folder.code == REFUSED and findings(bad_folder)["data folder"] == "bad"
    bad_config = belfry.cli("doctor", "--json", env={"BELFRY_LOG_LEVEL": "loud"})
    assert bad_config.code == REFUSED and findings(bad_config)["configuration"] == "bad"
    no_store = belfry.cli("doctor", "--json",
                          env={"BELFRY_STORE_URL": "postgres://nobody@127.0.0.1:1/none",
                               "BELFRY_STORE_CONNECT_TIMEOUT": "300ms"})
    assert no_store.code == REFUSED and findings(no_store)["store"] == "bad"
