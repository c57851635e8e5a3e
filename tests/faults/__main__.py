"""Puts each fault into a copy of the library and runs the test that is to notice it.

    python -m tests.faults [WORD ...] [--suite]

Prints a table. With WORDs, only of the faults whose description has one of them. `--suite` runs the
default tier until a test fails, rather than the one test: for a new fault, or a changed suite.
"""

import argparse
import concurrent.futures
import os

import keras

from tests.faults.copies import run
from tests.faults.of_backends import HERE
from tests.faults.table import FAULTS


def named_test(fault):
    """The fault's test if it fails, None if it passes."""
    code, output = run(fault, "-n", "0", "-m", "not slow", fault.test)
    if code not in (0, 1):
        raise RuntimeError(f"pytest could not run {fault.test}, for {fault.what!r}:\n{output}")
    return fault.test if code else None


def first_to_fail(fault):
    """The first test of the default tier that fails, None where all pass."""
    _, output = run(fault)
    failed = [line.split()[1] for line in output.splitlines() if line.startswith("FAILED ")]
    return failed[0] if failed else None


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORD", help="of the faults to put in")
    parser.add_argument("--suite", action="store_true", help="run the whole default tier")
    options = parser.parse_args(arguments)
    known = [*(FAULTS if keras.backend.backend() == "tensorflow" else []), *HERE]
    faults = [f for f in known if any(word in f.what for word in options.words or [""])]
    by, at_once = (first_to_fail, 1) if options.suite else (named_test, os.cpu_count())
    print("| fault | noticed by |\n| --- | --- |")
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for fault, test in zip(faults, pool.map(by, faults), strict=True):
            print(f"| {fault.what} | {f'`{test}`' if test else '**nothing**'} |", flush=True)


if __name__ == "__main__":
    main()
