"""belfry cron: vectors through --jsonl, and what people and programs are told."""
import json
import os
import pathlib
import subprocess

import pytest

from belfry import BINARY

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors"


def cron(*args, stdin="", **environment):
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **environment}
    env.update({name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")})
    return subprocess.run([str(BINARY), "cron", *args], input=stdin, env=env, text=True,
                          capture_output=True, timeout=60)


def ask(requests):
    """The answers to request objects (or raw lines), by one process."""
    lines = [r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in requests]
    done = cron("next", "--jsonl", stdin="".join(line + "\n" for line in lines))
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def vectors(name):
    return [json.loads(line) for line in (VECTORS / name).read_text().splitlines()]


def test_vectors():
    wanted = vectors("cron-sample.jsonl")
    asked = [{k: v[k] for k in ("id", "dialect", "expr", "tz", "from") if k in v} | {"count": 5}
             for v in wanted]
    for vector, answer in zip(wanted, ask(asked), strict=True):
        assert answer["id"] == vector["id"]
        if vector.get("error"):
            assert answer["error"] and answer["field"] >= 1 and answer["pos"] >= 1, answer
        else:
            assert answer["next"] == vector["next"], vector
            assert answer["exhausted"] == vector.get("exhausted", False), vector


@pytest.mark.parametrize("dst, rule", [(None, "realtime-or-once"), ("once", "realtime-or-once"),
                                       ("skip", "skip-first")])
def test_vectors_dst(dst, rule):
    wanted = vectors("cron-sample-dst.jsonl")
    asked = [{k: v[k] for k in ("id", "dialect", "expr", "tz", "from")} | {"count": 5}
             | ({"dst": dst} if dst else {}) for v in wanted]
    for vector, answer in zip(wanted, ask(asked), strict=True):
        assert answer == {"id": vector["id"], "next": vector["rules"][rule], "exhausted": False}


GOOD = {"id": "x", "dialect": "unix", "expr": "0 9 * * *", "tz": "UTC",
        "from": "2026-01-01T00:00:00Z", "count": 1}
GOOD_ANSWER = {"id": "x", "next": ["2026-01-01T09:00:00+00:00"], "exhausted": False}


@pytest.mark.parametrize("bad", [
    "", "{", "[]", "null", "1", '"x"', "{}", '{"id":1}', "{\"expr\":\"0 9 * * *\"",
    json.dumps(GOOD | {"expr": 5}), json.dumps(GOOD | {"expr": "0 99 * * *"}),
    json.dumps(GOOD | {"tz": "Mars/Phobos"}), json.dumps(GOOD | {"tz": "../../etc/passwd"}),
    json.dumps(GOOD | {"from": "yesterday"}), json.dumps(GOOD | {"count": -1}),
    json.dumps(GOOD | {"count": 1001}), json.dumps(GOOD | {"dst": "maybe"}),
    json.dumps(GOOD | {"dialect": "croner"}), json.dumps(GOOD | {"expr": "9" * 300}),
    '{"id":"x","pad":"' + "x" * 100000 + '"}', '{"expr":"\\ud800"}', "\x00\x01",
])
def test_bad_lines_never_stop(bad):
    answers = ask([bad, GOOD])
    assert answers[-1] == GOOD_ANSWER
    if bad:
        assert len(answers) == 2
        assert set(answers[0]) == {"id", "error", "field", "pos"}, answers[0]


def test_last_line_without_newline():
    done = cron("next", "--jsonl", stdin=json.dumps(GOOD))
    assert json.loads(done.stdout) == GOOD_ANSWER


def test_id_comes_back_as_it_was():
    ids = ["x", 7, None, 1.5, [1, {"a": "é"}], "中文"]
    assert [answer["id"] for answer in ask([GOOD | {"id": i} for i in ids])] == ids


def test_exhausted():
    last = GOOD | {"dialect": "quartz", "expr": "0 0 0 1 1 ? 2027-2028"}
    two = ask([last | {"count": 2}])[0]
    assert two["exhausted"] and len(two["next"]) == 2
    assert not ask([last | {"count": 1}])[0]["exhausted"]
    assert ask([last | {"count": 5}])[0] == two


def test_seed_moves_h():
    answers = ask([GOOD | {"expr": "H H * * *", "seed": seed} for seed in (1, 2, 1)])
    assert answers[0]["next"] == answers[2]["next"] != answers[1]["next"]


def test_columns_count_characters():
    answer = ask([GOOD | {"expr": "0 9，10 * * *"}])[0]
    assert (answer["field"], answer["pos"]) == (2, 4)


def test_people_see_times_first():
    done = cron("next", "--tz", "America/New_York", "--from", "2026-03-07T12:00:00-05:00", "-n", "2",
                "30 2 * * *")
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert lines[0].startswith("2026-03-08T03:00:00-04:00  Sun  in ") and "02:30" in lines[0]
    assert lines[1].startswith("2026-03-09T02:30:00-04:00  Mon  in ")
    assert done.stderr.splitlines()[0] == "Every day at 02:30"


def test_json():
    done = cron("next", "--json", "--tz", "Asia/Shanghai", "--from", "2026-01-01T00:00:00Z",
                "-n", "1", "--seed", "7", "H 9 31 * *")
    answer = json.loads(done.stdout)
    assert answer["dialect"] == "unix" and answer["resolved"] == "24 9 31 * *"
    assert answer["next"] == [{"time": "2026-01-31T09:24:00+08:00", "weekday": "Sat", "dst": None}]
    assert [warning["name"] for warning in answer["warnings"]] == ["short_months"]
    assert answer["exhausted"] is False


def test_refused_expression():
    done = cron("next", "0 9，10 * * *")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines() == ['belfry: char 4: full-width "，"; write ","',
                                        "  0 9，10 * * *", "     ^"]
    done = cron("next", "--json", "0 99 * * *")
    assert done.returncode == 1
    assert json.loads(done.stdout)["pos"] == 3


def test_never_fires():
    done = cron("next", "0 0 30 2 *")
    assert done.returncode == 0 and done.stdout == ""
    assert "never fires" in done.stderr


@pytest.mark.parametrize("args", [
    [], ["next"], ["describe"], ["frobnicate"], ["next", "0", "9"], ["next", "-n", "0", "* * * * *"],
    ["next", "--tz", "Asia/Beijing", "* * * * *"], ["next", "--from", "now-ish", "* * * * *"],
    ["next", "--dst", "never", "* * * * *"], ["next", "--dialect", "croner", "* * * * *"],
])
def test_usage(args):
    done = cron(*args)
    assert done.returncode == 2 and done.stdout == "" and done.stderr


def test_language():
    assert cron("describe", "0 9 * * 1-5").stdout == "Monday to Friday at 09:00\n"
    assert cron("describe", "--lang", "zh", "0 9 * * 1-5").stdout == "工作日 09:00\n"
    assert cron("describe", "0 9 * * 1-5", LANG="zh_CN.UTF-8").stdout == "工作日 09:00\n"
    assert cron("describe", "--lang", "en", "0 9 * * 1-5", LC_ALL="zh_CN").stdout \
        == "Monday to Friday at 09:00\n"
    assert "字段 4「日」第 8 个字符" in cron("describe", "0 0 12 32W * ?", LC_ALL="zh_CN").stderr


def test_local_zone():
    at = ["--from", "2026-01-01T00:00:00Z", "-n", "1", "0 9 * * *"]
    assert cron("next", *at, TZ="Asia/Tokyo").stdout.startswith("2026-01-02T09:00:00+09:00")
    assert cron("next", *at, TZ=":UTC").stdout.startswith("2026-01-01T09:00:00+00:00")


def test_help_teaches():
    help_text = cron("--help").stdout
    assert "spring" in help_text and "'0 0 9 ? * MON-FRI'" in help_text
    assert "belfry cron next --tz" in cron("next", "--help").stdout
