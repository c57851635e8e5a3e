"""Time of ZSharp's threshold: the 5 % largest of a gradient, by searching and by sorting.

    python benchmarks/selection.py

For gradients of the shapes of VGG-16/BN and ResNet-110, alone or stacked as the rule does it:
`keras_zsharp.selection.search.kth_largest_keys`, `tf.math.top_k` and, for scale, `numpy.partition`.
Both of the former in a graph and under XLA. Rounds alternate; medians and the ratios of the same
round are printed as Markdown.
"""

import argparse
import math
import os
import statistics
import time


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import machine
import numpy as np
import tensorflow as tf

from keras_zsharp.ops import from_bits, to_bits
from keras_zsharp.selection.search import kth_largest_keys

Q_P = 0.95
SHAPES = {
    "512x512x3x3": (1, 512 * 512 * 9),
    "256x256x3x3": (1, 256 * 256 * 9),
    "35 of 64x64x3x3": (35, 64 * 64 * 9),
    "35 of 32x32x3x3": (35, 32 * 32 * 9),
}


def methods(k):
    """Functions from deviations of shape (rows, n) to the k-th largest of each row."""

    def search(x):
        return from_bits(kth_largest_keys([to_bits(x)], [k])[0])

    def top_k(x):
        return tf.math.top_k(x, k).values[:, -1]

    def partition(x):
        place = x.shape[1] - k
        return np.partition(x.numpy(), place, axis=1)[:, place]

    return {
        "search, graph": tf.function(search),
        "top_k, graph": tf.function(top_k),
        "search, XLA": tf.function(search, jit_compile=True),
        "top_k, XLA": tf.function(top_k, jit_compile=True),
        "numpy.partition": partition,
    }


def measure(shape, rounds):
    """Seconds by method, one per round after a warm-up; all methods must agree."""
    size = shape[1]
    x = tf.constant(np.abs(np.random.default_rng(0).standard_t(4, shape)).astype("float32"))
    selections = methods(size - math.floor((size - 1) * Q_P))
    times = {name: [] for name in selections}
    for turn in range(rounds + 1):
        found = []
        for name, method in selections.items():
            started = time.perf_counter()
            found.append(np.asarray(method(x)))
            if turn:
                times[name].append(time.perf_counter() - started)
        for other in found[1:]:
            np.testing.assert_array_equal(found[0], other)
    return times


def table(results):
    names = list(next(iter(results.values())))
    header = ["gradient", *(f"{name} (ms)" for name in names), "graph", "XLA", "numpy"]
    lines = ["| " + " | ".join(header) + " |", "| --- |" + " ---: |" * (len(header) - 1)]
    for shape, times in results.items():

        def ratio(slow, fast, times=times):
            pairs = zip(times[slow], times[fast], strict=True)
            return statistics.median(s / f for s, f in pairs)

        cells = [f"{1e3 * statistics.median(times[name]):.2f}" for name in names]
        cells.append(f"{ratio('top_k, graph', 'search, graph'):.1f} x")
        cells.append(f"{ratio('top_k, XLA', 'search, XLA'):.1f} x")
        cells.append(f"{ratio('search, graph', 'numpy.partition'):.1f} x")
        lines.append(f"| {shape} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    options = parse()
    print(
        f"TensorFlow {tf.__version__}, {machine.describe()}; q_p = {Q_P}, medians of "
        f"{options.rounds} rounds. Ratios: top_k by the search in a graph and under XLA, the "
        "search in a graph by `numpy.partition`.\n"
    )
    print(table({name: measure(shape, options.rounds) for name, shape in SHAPES.items()}))


if __name__ == "__main__":
    main()
