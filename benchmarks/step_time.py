"""Time, memory and compilation of a training step: AdamW, the rules, and other libraries' SAM.

    pip install -e ".[peers]"
    python benchmarks/step_time.py step-time.json

Every row is a process of its own (`steps/worker.py`). Those of one network and mode live together
and take their steps in turns, so that ratios within a round are of the same minute; no two steps
run at once. Where a library is not installed its cells stay empty. What has been measured is
written to the file after each network and mode; given again, the command goes on from there. The
tables (medians over the rounds) are printed as Markdown.
"""

import argparse
import contextlib
import json
import pathlib
import subprocess
import sys

BATCH_SIZES = {
    "dense": 128,
    "small_cnn": 128,
    "resnet20": 64,
    "resnet56": 64,
    "resnet110": 32,
    "vgg16_bn": 64,
    "vit_7_8_8_384": 32,
    "vit_7_8_12_768": 32,
}
"""For large networks less than the papers' 128 or 256, for two cores to get through."""
PEERS = {
    "graph": [
        ("keras3_without_onednn", "SAM"),
        ("keras2", "SAM"),
        ("pytorch", "SAM"),
        ("pytorch", "FriendlySAM"),
        ("pytorch", "ZSharp"),
    ],
    "xla": [("keras2", "SAM")],
    "jax": [("by_hand", "SAM")],
    "pytorch": [("by_hand", "SAM")],
}
"""By mode: TensorFlow's in a graph or under XLA, or another backend as Keras runs it."""


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=pathlib.Path, help="JSON file, to go on from or to make")
    parser.add_argument("--networks", nargs="+", choices=BATCH_SIZES, default=list(BATCH_SIZES))
    parser.add_argument("--modes", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--methods", nargs="+", help="AdamW and classes of rules; without it, all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-peers", action="store_true", help="this library's steps alone")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

import machine
from steps import tables

HERE = pathlib.Path(__file__).parent
METHODS = ["AdamW", "SAM", tables.QUARTER, *tables.RULES]


class Row:
    """A process that takes steps of one library, method, network and mode."""

    def __init__(self, *spec):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "steps.worker", *map(str, spec)],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.result = {**self._answer(), "seconds": [], "peaks": []}

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self._process.args)} ended without an answer")
        return json.loads(line)

    def step(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        for name, value in self._answer().items():
            self.result[name].append(value)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.communicate()


def measure(network, mode, rounds, methods=METHODS, peers=True):
    """What the rows of one network and mode answered, by library and method."""
    others = PEERS[mode] if peers else ()
    rows = {}
    with contextlib.ExitStack() as stack:
        for library, method in (*(("keras3", each) for each in methods), *others):
            row = stack.enter_context(Row(library, network, method, mode, BATCH_SIZES[network]))
            if "missing" not in row.result:
                rows[f"{library} {method}"] = row
        weights = {name: row.result["weights"] for name, row in rows.items()}
        if len(set(weights.values())) > 1:
            raise RuntimeError(f"The libraries' {network} differ in bytes of weights: {weights}")
        for _ in range(rounds):
            for row in rows.values():
                row.step()
    return {name: row.result for name, row in rows.items()}


def main(arguments=None):
    options = parse(arguments)
    methods = options.methods or METHODS
    if unknown := set(methods) - set(METHODS):
        sys.exit(f"--methods must be of {', '.join(METHODS)}. Received: {', '.join(unknown)}")
    results = {"machine": machine.describe(), "measured": {}}
    if options.results.exists():
        results = json.loads(options.results.read_text(encoding="utf-8"))
        if results["machine"] != machine.describe():
            raise ValueError(
                f"`{options.results}` must be of this machine to go on from. Received one of: "
                f"{results['machine']}; this is: {machine.describe()}"
            )
    for network in options.networks:
        for mode in options.modes:
            name = f"{network} {BATCH_SIZES[network]} {mode}"
            if name not in results["measured"]:
                print(f"{name} ...", file=sys.stderr)
                rows = measure(network, mode, options.rounds, methods, not options.no_peers)
                results["measured"][name] = rows
                options.results.write_text(json.dumps(results), encoding="utf-8")
    print(tables.all_of(results))


if __name__ == "__main__":
    main()
