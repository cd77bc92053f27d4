"""Killed with -9 at random, a hundred times and more, while 200 jobs fire every second, half of
them scripts, and clients make and change others: nothing acknowledged is lost, no fire is missed or
decided twice, every further attempt has its cause, nothing is left over.
"""
import os

import pytest

import kill9

SEED = int(os.environ.get("BELFRY_FAULT_SEED", "20261125"))


def killed(rounds, fires):
    print("again:", kill9.repeat_line(SEED, rounds))
    result = kill9.trial(SEED, rounds, fires, progress=print)
    print(result)
    assert not result.violations, "\n".join(
        [kill9.repeat_line(SEED, rounds), str(result), *map(str, result.violations[:20])])
    return result


@pytest.mark.slow
def test_killed_a_hundred_times():
    result = killed(100, 20000)
    assert result.fires >= 20000
    # the trial has put to the test what it is about
    assert result.starts > result.fires / 4 and result.retried > 200
    assert result.writes > 1000 and result.unanswered > 50


def test_killed_some_times():
    """The same in seconds, for sanitizers and for whoever changes something."""
    assert killed(6, 0).fires > 500
