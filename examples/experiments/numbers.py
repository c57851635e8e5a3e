"""The numbers that a run is set by: the bounds of each, for command lines and configs alike."""

import argparse

from keras_zsharp import checks


def _number(bound, holds):
    return lambda name, value: checks.number(name, value, bound, holds)


def _int(least, most=int(checks.LARGEST)):
    def check(name, value):
        value = checks.integer(name, value)
        if not least <= value <= most:
            raise ValueError(
                f"`{name}` must be an int from {least} to {most}. Received: {name}={value}"
            )
        return value

    return check


CHECKS = {
    "rho": _number(">= 0", lambda value: value >= 0),
    "q_p": _number("in [0, 1]", lambda value: 0 <= value <= 1),
    "epochs": _int(1),
    "batch_size": _int(1),
    "learning_rate": _number("> 0", lambda value: value > 0),
    "weight_decay": _number(">= 0", lambda value: value >= 0),
    "train_size": _int(1),
    "label_noise": _number("in [0, 1]", lambda value: 0 <= value <= 1),
    "validation": _number("in (0, 1)", lambda value: 0 < value < 1),
    "seed": _int(0, 2**32 - 1),
    "split_seed": _int(0, 2**32 - 1),
}
"""By name: what gives a value as a float or an int, or raises a `TypeError` or a `ValueError`."""


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
