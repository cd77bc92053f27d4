#!/usr/bin/env python3
"""Purity of the scheduler's object code: what it refers to besides itself and schedule/.

usage: pure.py NM libscheduler.a libschedule.a

An undefined symbol that is neither defined in the library itself nor named below fails the test:
the core has no clock, no files, no sockets, no threads, no chance, no allocator of its own.
"""
import re
import subprocess
import sys

# base/ without clock, log and random; the C library without anything that asks the system
ALLOWED = re.compile(
    r"^(arena_\w+|pool_\w+|map_\w+|heap_\w+|size_multiply|str_\w+|buf_\w+"
    r"|mem(cpy|move|set|cmp|chr)|str(len|cmp|ncmp|ncpy)"
    r"|__(memcpy|memmove|memset|strncpy)_chk|__assert_fail|__stack_chk_fail"
    r"|_GLOBAL_OFFSET_TABLE_|__[a-z]+[dt]i[23]|__(asan|ubsan|tsan|sanitizer|gcov|llvm)_\w+)$")
# schedule/ may also say what is wrong with an expression
ALLOWED_SCHEDULE = re.compile(
    r"^(error_\w+|message_\w+|days_from_civil|civil_from_days|time_\w+|number_parse|utf8_\w+"
    r"|str\w*chr|strstr|strspn|strcspn|isdigit|__ctype_\w+)$")
# zone files are read by these members and by no others
READS_FILES = {"zone-load.c.o", "zone-set.c.o", "zone.c.o", "zone-parse.c.o"}


def symbols(nm, library):
    """[(member, defined, undefined)] of a static library."""
    out = subprocess.run([nm, library], check=True, capture_output=True, text=True).stdout
    members, name = [], None
    for line in out.splitlines():
        if line.endswith(":"):
            name = line[:-1].rsplit("/", 1)[-1]
            members.append((name, set(), set()))
        elif line.strip():
            kind, symbol = line.split()[-2:]
            members[-1][2 if kind in "Uw" else 1].add(symbol)
    return members


def main():
    nm, scheduler, schedule = sys.argv[1:]
    core, times = symbols(nm, scheduler), symbols(nm, schedule)
    own = set().union(*(defined for _, defined, _ in core))
    schedules = set().union(*(defined for _, defined, _ in times))
    wrong = []
    for member, _, undefined in core:
        for symbol in sorted(undefined - own):
            if symbol.startswith("schedule_") and symbol in schedules:
                continue
            if not ALLOWED.match(symbol):
                wrong.append(f"scheduler/{member}: {symbol}")
    for member, _, undefined in times:
        if member in READS_FILES or any(m in member for m in READS_FILES):
            continue
        for symbol in sorted(undefined - schedules):
            if not ALLOWED.match(symbol) and not ALLOWED_SCHEDULE.match(symbol):
                wrong.append(f"schedule/{member}: {symbol}")
    print("\n".join(wrong) or f"pure: {len(core)} + {len(times)} objects")
    sys.exit(bool(wrong))


main()
