"""The numbers that a run is set by: the bounds of each, for command lines and configs alike."""

import argparse

from keras_zsharp import checks


def _number(bound, holds):
    return lambda name, value: checks.number(name, value, bound, holds)


def _int(least, most):
    def check(name, value):
        if not least <= checks.integer(name, value) <= most:
            bound = f"an int from {least} to {most}"
            raise ValueError(f"`{name}` must be {bound}. Received: {name}={value}")
        return value

    return check


COUNT, SEED = _int(1, int(checks.LARGEST)), _int(0, 2**32 - 1)
CHECKS = {
    "rho": _number(">= 0", lambda value: value >= 0),
    "q_p": _number("in [0, 1]", lambda value: 0 <= value <= 1),
    "epochs": COUNT,
    "batch_size": COUNT,
    "train_size": COUNT,
    "seed": SEED,
    "split_seed": SEED,
    "learning_rate": _number("> 0", lambda value: value > 0),
    "weight_decay": _number(">= 0", lambda value: value >= 0),
    "label_noise": _number("in [0, 1]", lambda value: 0 <= value <= 1),
    "validation": _number("in (0, 1)", lambda value: 0 < value < 1),
}
"""By name: what gives a value as a float or an int, or raises a `TypeError` or a `ValueError`."""
OPTIONAL = ("train_size", "validation", "split_seed")


def check(values):
    """Checks those of the values that have a bound, by name."""
    for name, value in values.items():
        if name in CHECKS and not (value is None and name in OPTIONAL):
            CHECKS[name](name, value)


def option(name):
    """The `type` of argparse for an option with such a value."""

    def read(text):
        try:
            return CHECKS[name](name, _value(text))
        except (TypeError, ValueError) as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def _value(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
