"""The completion scripts, asked the way the shells ask them."""
import os
import shutil
import subprocess

import pytest

from belfry import BINARY


def script(shell):
    return subprocess.run([BINARY, "completion", shell], capture_output=True, text=True,
                          check=True).stdout


def bash_words(*line):
    """What bash offers for the last word of a line."""
    program = script("bash") + """
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_belfry
printf '%s\\n' "${COMPREPLY[@]}"
"""
    result = subprocess.run(["bash", "--norc", "-eu", "-c", program, "bash", "belfry", *line],
                            capture_output=True, text=True)
    assert result.stderr == "" and result.returncode == 0, result
    return result.stdout.split()


def test_bash_completes_commands_and_subcommands():
    assert {"serve", "job", "run", "why", "user", "key", "doctor", "version"} <= set(bash_words(""))
    assert bash_words("do") == ["doctor"]
    assert {"list", "show", "create", "pause"} <= set(bash_words("job", ""))
    assert bash_words("job", "cr") == ["create"]
    assert bash_words("key", "ro") == ["rotate"]


def test_bash_completes_options_and_their_values():
    assert {"--cron", "--every", "--script", "--json", "--help"} <= set(
        bash_words("job", "create", "x", "--"))
    assert bash_words("job", "create", "--overl") == ["--overlap"]
    assert bash_words("job", "create", "--overlap", "") == ["skip", "queue", "replace", "parallel"]
    assert bash_words("run", "list", "--state", "FA") == ["FAILED"]
    assert "--json" in bash_words("why", "a", "b", "--")
    assert bash_words("job", "create", "--cron", "") == []


def test_bash_completes_files(tmp_path):
    (tmp_path / "job.json").touch()
    assert bash_words("job", "create", "--file", f"{tmp_path}/j") == [f"{tmp_path}/job.json"]


def test_zsh_script_is_valid_and_complete():
    text = script("zsh")
    assert text.startswith("#compdef belfry\n")
    for word in ("'create:make a job'", "'*--overlap[", "(skip queue replace parallel)", "_files"):
        assert word in text
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    result = subprocess.run(["zsh", "-f", "-n"], input=text, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_other_shells_are_refused():
    result = subprocess.run([BINARY, "completion", "fish"], capture_output=True, text=True,
                            env={**os.environ, "LANG": "C"})
    assert result.returncode == 2 and result.stdout == "" and "fish" in result.stderr
