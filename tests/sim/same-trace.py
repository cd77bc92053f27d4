#!/usr/bin/env python3
"""The same seeds give the same traces whatever compiled them.

usage: same-trace.py SOURCE-ROOT SIM

Builds the simulator without optimisation, and with clang where there is one, and compares the hash
of all traces with that of SIM.
"""
import glob
import re
import shutil
import subprocess
import sys
import tempfile

SEEDS = ["--seeds", "40"]


def build(root, compiler, level, target):
    sources = sorted(
        path for folder in ("src/base", "src/schedule", "src/scheduler", "tests/sim")
        for path in glob.glob(f"{root}/{folder}/*.c")
        if not re.search(r"/(test|fuzz)-[^/]*$", path))
    subprocess.run(
        [compiler, level, "-std=gnu17", "-D_GNU_SOURCE", "-fwrapv", "-fno-strict-aliasing", "-w",
         f"-I{root}/src", f"-I{root}/tests/sim", *sources, "-lm", "-o", target], check=True)


def trace(sim):
    out = subprocess.run([sim, *SEEDS], check=True, capture_output=True, text=True).stdout
    return re.search(r"hash ([0-9a-f]{16})", out).group(1)


def main():
    root, sim = sys.argv[1:]
    wanted, failed = trace(sim), False
    with tempfile.TemporaryDirectory() as folder:
        for compiler, level in (("gcc", "-O0"), ("clang-14", "-O2"), ("clang", "-O1")):
            if not shutil.which(compiler):
                continue
            target = f"{folder}/sim-{compiler}"
            build(root, compiler, level, target)
            got = trace(target)
            print(f"{compiler} {level}: {got}{'' if got == wanted else f', wanted {wanted}'}")
            failed |= got != wanted
    sys.exit(failed)


main()
