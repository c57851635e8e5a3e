"""One row of the benchmark: a process that takes a training step whenever it is told to.

Told on standard input by a line each, it answers on standard output by a line of JSON: first with
the seconds of the first step (tracing and compilation included), then with those of every step and
the process' peak memory since the last one.
"""

import contextlib
import ctypes
import importlib
import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow brings oneDNN, but leaves it off by itself on some processors.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np

WARM_UP = 1
BACKENDS = {"jax": "jax", "pytorch": "torch"}
"""Of the modes that are not TensorFlow's."""


def give_back():
    """Hands freed memory back to the system, such as the compiler's, where the C library can."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def peak_memory():
    """The peak of resident bytes since the last call, where Linux tells."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            [line] = [line for line in status if line.startswith("VmHWM")]
        with open("/proc/self/clear_refs", "w", encoding="ascii") as reset:
            reset.write("5")
    except OSError:
        return None
    return 1024 * int(line.split()[1])


def timed(step, times=1):
    """The mean of so many calls in seconds."""
    started = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - started) / times


def main(library, network, method, mode, batch_size):
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout = sys.stderr

    def answer(**values):
        print(json.dumps(values), file=answers, flush=True)

    os.environ["KERAS_BACKEND"] = BACKENDS.get(mode, "tensorflow")
    try:
        steps = importlib.import_module(f"steps.{library}")
    except ModuleNotFoundError as missing:
        return answer(missing=missing.name)
    random = np.random.default_rng(0)
    x = random.normal(size=(int(batch_size), 32, 32, 3)).astype("float32")
    y = random.integers(0, 10, int(batch_size))
    step, weights = steps.step(network, method, mode, x, y)
    first = timed(step)
    for _ in range(WARM_UP):
        step()
    give_back()
    peak_memory()
    answer(first=first, weights=weights, versions=steps.VERSIONS)
    period = getattr(steps, "PERIODS", {}).get(method, 1)
    for _ in sys.stdin:
        answer(seconds=timed(step, period), peaks=peak_memory())


if __name__ == "__main__":
    main(*sys.argv[1:])
