"""The table of rules that tests go through, and what they are called with."""

import keras
import numpy as np
import pytest

from keras_zsharp import (
    ASAM,
    AWP,
    GSAM,
    LESAM,
    MSAM,
    SAM,
    SANER,
    SSAM,
    WSAM,
    AdaptiveFriendlySAM,
    FisherSAM,
    FriendlySAM,
    LookSAM,
    RandomSAM,
    ZSharp,
)

RULES = {
    "sam": SAM(rho=0.1),
    "zsharp": ZSharp(rho=0.1, q_p=0.7),
    "zsharp_per_variable": ZSharp(rho=0.1, q_p=0.7, norm="per_variable"),
    "zsharp_scheduled": ZSharp(
        rho=0.1, q_p=keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.7, 0.3])
    ),
    "zsharp_all_ranks": ZSharp(rho=0.1, q_p=0.7, min_rank=0),
    "zsharp_magnitude": ZSharp(rho=0.1, q_p=0.7, score="magnitude"),
    "zsharp_one_quantile": ZSharp(rho=0.1, q_p=0.7, min_rank=0, percentile_scope="global"),
    "asam": ASAM(rho=0.1, eta=0.02),
    "awp": AWP(rho=0.1),
    "fisher_sam": FisherSAM(rho=0.1, eta=0.3),
    "gsam": GSAM(rho=0.1, alpha=0.3),
    "le_sam": LESAM(rho=0.1, sigma=0.02),
    "look_sam": LookSAM(rho=0.1, alpha=0.3, every=2),
    "msam": MSAM(rho=0.1),
    "random_sam": RandomSAM(rho=0.1, seed=1),
    "saner": SANER(rho=0.1, alpha=0.3),
    "ssam": SSAM(rho=0.1),
    "wsam": WSAM(rho=0.1, gamma=0.3),
    "friendly_sam": FriendlySAM(rho=0.1, lmbda=0.6, sigma=0.5),
    "adaptive_friendly_sam": AdaptiveFriendlySAM(rho=0.1, lmbda=0.6, sigma=0.5, eta=0.02),
}

CURVATURES = [[1.0, 4.0], [[0.5, -0.02]]]
"""Of two variables in `f(w) = Σ a w⁴ / 4`, a bowl but for one direction, which falls."""


def gradient(w):
    return np.concatenate([np.ravel(a) for a in CURVATURES]) * w**3


def norm(g):
    return np.sqrt(g @ g)


def shifted(w, rho=0.1):
    """The gradients in the bowl at w and at w + e(w) of SAM."""
    g = gradient(w)
    return g, gradient(w + rho * g / (norm(g) + 1e-8))


def gsam(w, step, state):
    g, p = shifted(w)
    u = p / norm(p)
    return p - 0.3 * (g - (g @ u) * u)


def saner(w, step, state):
    g, p = shifted(w)
    return np.where((p / g > 0) & (p / g < 1), 0.3 * p, p)


def awp(w, step, state):
    g = gradient(w)
    kernel, its_g = w[2:], g[2:]
    return gradient(w + np.r_[0, 0, 0.1 * norm(kernel) * its_g / (norm(its_g) + 1e-8)])


def ssam(w, step, state):
    g, p = shifted(w)
    return p * norm(g) / norm(p)


def wsam(w, step, state):
    """By SGD, what the authors' decoupled step comes to: g, and the sharpness beside it."""
    g, p = shifted(w)
    return g + 0.3 / (1 - 0.3) * (p - g)


def le_sam(w, step, state):
    return shifted(w, min(0.02 / (norm(gradient(w)) + 1e-8), 0.1))[1]


def look_sam(w, step, state):
    if step % 2 == 0:
        g, p = shifted(w)
        u = g / norm(g)
        state["v"] = p - (p @ u) * u
        return p
    g = gradient(w)
    return g + 0.3 * norm(g) / norm(state["v"]) * state["v"]


EQUATIONS = {
    "awp": awp,
    "gsam": gsam,
    "le_sam": le_sam,
    "look_sam": look_sam,
    "saner": saner,
    "ssam": ssam,
    "wsam": wsam,
}
"""What the optimizer gets at w in the bowl, by the rules of the table."""

every_rule = pytest.mark.parametrize("name", RULES)


def again(rule):
    """A new one with the same arguments."""
    return type(rule).from_config(rule.get_config())


def fresh(name):
    return again(RULES[name])


def inputs(scale=1.0, seed=0):
    random = np.random.default_rng(seed)
    shapes = {"kernel": (4, 5), "bias": (5,), "gamma": (3,), "beta": (3,), "idle": (2, 2)}
    variables = [
        keras.Variable(random.normal(size=shape).astype("float32"), name=name)
        for name, shape in shapes.items()
    ]
    gradients = [
        np.float32(scale) * random.normal(size=v.shape).astype("float32") for v in variables
    ]
    gradients[-1] = None
    return gradients, variables


def length(epsilons):
    return np.sqrt(sum(np.sum(np.square(e, dtype="float64")) for e in epsilons if e is not None))
