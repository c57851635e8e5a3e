"""Draws the pictures of the pages: which method to take, and what a step does.

    python -m docs.assets.pictures

writes `choosing.svg` and `idea.svg` beside this file. Needs matplotlib.
"""

import pathlib

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from examples.study.svg import BOX, INK, PAPER, write

HERE = pathlib.Path(__file__).parent
BAD, GOOD = "#d9534f", "#3d8bd4"


def box(axes, x, y, text, width=3.1, height=1.05, question=False):
    style = "round,pad=0,rounding_size=0.12"
    corner = x - width / 2, y - height / 2
    face, edge = (PAPER, INK) if question else (BOX, GOOD)
    axes.add_patch(FancyBboxPatch(corner, width, height, style, fc=face, ec=edge, lw=1.4))
    axes.text(x, y, text, ha="center", va="center", color=INK, fontsize=10)


def arrow(axes, start, end, label="", beside=(0, 0)):
    how = {"arrowstyle": "-|>", "color": INK, "lw": 1.2, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=how)
    middle = np.mean([start, end], axis=0) + beside
    axes.text(*middle, label, ha="center", va="center", color=INK, fontsize=9)


def choosing():
    """Three questions, and what follows from the answers."""
    figure = Figure(figsize=(7.6, 4.6))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 9.5), ylim=(0, 5.75))
    axes.axis("off")
    rows = {
        4.9: (
            "Does the network fit\nits training data?",
            "Without:\ntrain longer, or with more weights",
        ),
        3.3: ("Are labels wrong,\nor data few?", "Without:\nplenty of clean data gain little"),
        1.7: ("Is there time for\ntwo passes a step?", "ascent_fraction=0.25, LookSAM\nor MSAM"),
    }
    for y, (question, advice) in rows.items():
        box(axes, 2.2, y, question, question=True)
        box(axes, 7.0, y, advice, width=4.4)
        arrow(axes, (3.75, y), (4.8, y), "no", (0, 0.17))
        arrow(axes, (2.2, y - 0.525), (2.2, y - 1.075), "yes", (0.3, 0))
    box(axes, 2.2, 0.35, "SAM, with the best of five radii", width=3.9, height=0.55)
    return figure


def idea():
    """A sharp and a flat valley of equal depth: w, w + e, and the step by the gradient there."""
    figure = Figure(figsize=(7.6, 3.2))
    axes = figure.add_axes((0.01, 0.02, 0.98, 0.96))

    def loss(w):
        sharp = np.exp(-(((w - 2.5) / 0.65) ** 2))
        flat = np.exp(-(((w - 6.9) / 1.75) ** 4))
        return 2.2 - 1.9 * sharp - 1.9 * flat

    axes.plot(along := np.linspace(0, 10, 600), loss(along), color=INK, lw=2)
    for w, colour, name in ((2.52, BAD, "sharp"), (7.1, GOOD, "flat")):
        there = w + 0.62
        slope = (loss(there + 1e-4) - loss(there - 1e-4)) / 2e-4
        tangent = np.array([-0.3, 0.3])
        axes.plot(there + tangent, loss(there) + slope * tangent, color=colour, lw=2)
        axes.plot([w, there], [loss(w), loss(there)], "o", color=colour, ms=8)
        axes.text(w, loss(w) + 0.2, "w", color=INK, ha="center", fontsize=11)
        axes.text(there + 0.2, loss(there) - 0.12, "w + e", color=INK, va="top", fontsize=11)
        how = {"arrowstyle": "-|>", "color": colour, "lw": 2, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (w - 0.55 * slope, -0.12), (w, -0.12), arrowprops=how)
        axes.plot([w, w], [-0.22, -0.02], color=colour, lw=2)
        axes.text(w + 0.12, -0.12, "step", color=INK, va="center", fontsize=11)
        axes.text(w, 2.6, name, color=colour, ha="center", fontsize=12, weight="bold")
    axes.set(xlim=(0, 10), ylim=(-0.4, 2.9))
    axes.axis("off")
    return figure


if __name__ == "__main__":
    for draw in (choosing, idea):
        write(draw(), HERE / f"{draw.__name__}.svg", fonttype="path")
