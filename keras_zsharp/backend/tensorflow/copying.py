from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def kinds(by: Callable[[str, str], Any]) -> list[tuple[type, Callable[..., Any]]]:
    tables = tf.lookup.experimental
    return [
        (tf.Variable, _eagerly(by("numpy", "assign"))),
        (tf.random.Generator, _eagerly(_of_state)),
        (tables.MutableHashTable, _eagerly(_of_table)),
        (tables.DenseHashTable, _eagerly(_of_table)),
    ]


def _eagerly(copy):
    """In a graph nothing has a value. What is assigned there is refused."""
    return lambda value, _: copy(value, _) if tf.executing_eagerly() else lambda: None


def _of_state(generator, _):
    saved = generator.state.numpy()
    return lambda: generator.state.assign(saved)


def _of_table(table, _):
    saved = table.export()

    def restore():
        table.remove(table.export()[0])
        table.insert(*saved)

    return restore
