from __future__ import annotations

from typing import TYPE_CHECKING

from keras_zsharp.typing import Path

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def axes_of(axes: Axes | None, width: float, height: float) -> Axes:
    """`axes`, or those of a new figure of that size in inches."""
    try:
        from matplotlib import figure
    except ImportError as error:
        raise ImportError(
            "`plot` needs matplotlib: pip install 'keras-zsharp[flatness]'"
        ) from error
    return figure.Figure(figsize=(width, height)).add_subplot() if axes is None else axes


def save(axes: Axes, path: Path | None) -> None:
    """Saves the figure of `axes` where there is a path."""
    if path is not None:
        axes.figure.figure.savefig(path, dpi=150, bbox_inches="tight")
