"""By what a component stands out: functions from rows of gradients, filled up, to scores >= 0."""

from keras import ops

from keras_zsharp.selection.bits import int32


def deviations(rows, sizes):
    """`|g - mean(g)|` of each row: z-scores but for their common factor."""
    mean = ops.sum(rows, axis=-1) / ops.convert_to_tensor(sizes, rows.dtype)
    return ops.abs(rows - mean[:, None])


def zscores(rows, sizes):
    """`|g - mean(g)| / (std(g) + 1e-8)` of each row."""
    found = deviations(rows, sizes)
    squares = ops.where(is_filling(rows, sizes), 0, ops.square(found))
    std = ops.sqrt(ops.sum(squares, axis=-1) / ops.convert_to_tensor(sizes, rows.dtype))
    return found / (std[:, None] + 1e-8)


def magnitudes(rows, sizes):
    """`|g|` of each row."""
    return ops.abs(rows)


def is_filling(rows, sizes):
    """Where a row is over: the columns behind its size."""
    return ops.arange(rows.shape[1], dtype="int32") >= int32(sizes)[:, None]
