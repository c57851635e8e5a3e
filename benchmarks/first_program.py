"""Test accuracy of the README's first program, with its one line of this library and without.

    KERAS_BACKEND=jax python benchmarks/first_program.py

prints the rows of `docs/results/first-program.md` for a backend. Takes 3 minutes on 2 CPU cores.
"""

import argparse
import contextlib
import io
import os
import pathlib
import re
import statistics


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras

README = pathlib.Path(__file__).parents[1] / "README.md"
SEEDS = 3
HEAD = "| backend | program | last epoch (%) | best epoch (%) |\n| --- | --- | ---: | ---: |"


def blocks(language):
    """The README's blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def programs():
    """The first program as it stands, and without the line that the README's diff adds."""
    program, *_ = blocks("python")
    diff, *_ = blocks("diff")
    [line] = re.findall(r"^\+ (.*\n)", diff, re.MULTILINE)
    assert program.count(line) == 1
    return {"without the line": program.replace(line, ""), "as it stands": program}


def accuracies(program, seed):
    """The test accuracy in % after each epoch."""
    keras.utils.set_random_seed(seed)
    scope = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(program, scope)
    return [100 * accuracy for accuracy in scope["model"].history.history["val_accuracy"]]


def row(name, runs):
    """The mean over runs, and the standard deviation, of the last epoch and of the best."""
    cells = [
        f"{statistics.mean(percents):.1f} ± {statistics.stdev(percents):.1f}"
        for percents in ([run[-1] for run in runs], [max(run) for run in runs])
    ]
    return f"| {' | '.join([keras.backend.backend(), name, *cells])} |"


if __name__ == "__main__":
    print(HEAD)
    for name, program in programs().items():
        print(row(name, [accuracies(program, seed) for seed in range(SEEDS)]), flush=True)
