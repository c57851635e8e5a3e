"""Draws what each rule does at one place of a bowl of two weights.

    python -m docs.assets.bowls

writes `bowls/RULE.svg` beside this file. Needs matplotlib and a backend of Keras. The rules are
those of the library, and compute what is drawn. All pictures have one bowl, one w and one scale.
"""

import pathlib

import keras
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

import keras_zsharp
from docs.assets.pictures import BAD, GOOD
from examples.study.svg import INK, write

GREY = "#8a8f98"
HERE = pathlib.Path(__file__).parent / "bowls"
HESSIAN = np.array([[1.0, -0.9], [-0.9, 3.0]])
W = np.array([2.5, 1.5])
RHO = 0.8
LEARNING_RATE = 0.3
EARLIER = np.array([[2.0, 0.4], [1.8, -0.2]])
"""Gradients of earlier batches, for rules that remember them."""
RULES = {
    "sam": keras_zsharp.SAM(RHO),
    "zsharp": keras_zsharp.ZSharp(RHO),
    "asam": keras_zsharp.ASAM(0.5 * RHO),
    "awp": keras_zsharp.AWP(0.5 * RHO),
    "fisher_sam": keras_zsharp.FisherSAM(RHO),
    "friendly_sam": keras_zsharp.FriendlySAM(RHO, lmbda=0.5),
    "adaptive_friendly_sam": keras_zsharp.AdaptiveFriendlySAM(0.5 * RHO, lmbda=0.5),
    "gsam": keras_zsharp.GSAM(RHO),
    "le_sam": keras_zsharp.LESAM(RHO, sigma=1.0),
    "look_sam": keras_zsharp.LookSAM(RHO),
    "msam": keras_zsharp.MSAM(RHO),
    "random_sam": keras_zsharp.RandomSAM(RHO, seed=3),
    "saner": keras_zsharp.SANER(RHO),
    "ssam": keras_zsharp.SSAM(RHO),
    "wsam": keras_zsharp.WSAM(RHO, gamma=0.7),
}


def gradient(w):
    return HESSIAN @ w


def computed(rule):
    """What the rule makes of the bowl: e(w), and what the optimizer gets."""
    rule = type(rule).from_config(rule.get_config())  # which has seen nothing yet
    others = 18 if isinstance(rule, keras_zsharp.ZSharp) else 0  # whose gradient is 0

    def padded(values):
        return np.append(values, np.zeros(others)).astype("float32")[:, None]

    weight = keras.Variable(padded(W), name="kernel")
    g = padded(gradient(W))
    momentum = EARLIER.mean(axis=0)
    if isinstance(rule, keras_zsharp.FriendlySAM):
        for earlier in EARLIER:
            rule([padded(earlier)], [weight], 0)
    read = {"gradients": g, "momentum": padded(momentum), "weights": padded(W)}[rule.reads]
    [e] = rule([read], [weight], 0)
    e = keras.ops.convert_to_numpy(e)[:2, 0]
    p = padded(gradient(W + e))
    [descent] = rule.descent([g], [p]) if rule.reads == "gradients" else [p]
    return e, keras.ops.convert_to_numpy(descent)[:2, 0]


def arrow(axes, along, colour, text="", style="-"):
    how = {"arrowstyle": "-|>", "color": colour, "lw": 2, "ls": style, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", W + along, W, arrowprops=how)
    label(axes, along + along / np.linalg.norm(along) * (0.2 + 0.05 * len(text), 0.2), text, colour)


def label(axes, from_w, text, colour):
    axes.text(*(W + from_w), text, color=colour, ha="center", va="center", fontsize=11)


def bowl(rule):
    e, descent = computed(rule)
    figure = Figure(figsize=(3.6, 3.0))
    axes = figure.add_axes((0, 0, 1, 1))
    curvatures, directions = np.linalg.eigh(HESSIAN)
    angle = np.degrees(np.arctan2(*directions[::-1, 0]))
    for loss in (0.3, 1.2, 2.7, 4.8, 7.5):
        size = 2 * np.sqrt(2 * loss / curvatures)
        axes.add_patch(Ellipse((0, 0), *size, angle=angle, fill=False, ec=INK, lw=0.6, alpha=0.45))
    step, alone = -LEARNING_RATE * descent, -LEARNING_RATE * gradient(W)
    away = np.sign(step[0] * alone[1] - step[1] * alone[0]) * np.array([-alone[1], alone[0]])
    label(axes, 0.6 * alone + 0.2 * away / np.linalg.norm(away), "\N{MINUS SIGN}g", GREY)
    arrow(axes, alone, GREY, style="--")
    arrow(axes, step, GOOD, "step")
    arrow(axes, e, BAD, "w + e")
    axes.plot(*W, "o", color=INK, ms=6)
    label(axes, (0.2, -0.12), "w", INK)
    axes.plot(0, 0, "+", color=INK, ms=8)
    axes.set(xlim=(-0.7, 4.1), ylim=(-1.0, 3.0), aspect="equal")
    axes.axis("off")
    return figure


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for name, rule in RULES.items():
        write(bowl(rule), HERE / f"{name}.svg")
