"""Rules that change what the optimizer is given, over steps, against their equations in float64."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_zsharp import MSAM, LookSAM, SharpnessAwareModel
from tests.rules.rules import CURVATURES, EQUATIONS, fresh, gradient, norm, shifted

pytestmark = pytest.mark.matrix
MODES = {"default": {}, "eager": {"run_eagerly": True}}
STEPS, RATE = 7, 0.05
STARTS = [[3.0, 1.0], [[-2.0, 2.0]]]
START = np.concatenate([np.ravel(start) for start in STARTS])


class Bowl(layers.Layer):
    """`f(w) = Σ a w⁴ / 4` of a vector and a kernel: the gradient at w is `a w³`."""

    def build(self, input_shape):
        self.ws = [
            self.add_weight(
                name=f"w{i}",
                shape=np.shape(start),
                initializer=lambda shape, dtype=None, start=start: ops.cast(start, dtype),
            )
            for i, start in enumerate(STARTS)
        ]

    def call(self, inputs):
        terms = [ops.sum(ops.multiply(a, w**4)) for a, w in zip(CURVATURES, self.ws, strict=True)]
        return inputs * sum(terms) / 4


def look_sam_late(w, step, state):
    """From step 3 on: it perturbs at the first multiple of 2 after it."""
    return gradient(w) if step < 4 else EQUATIONS["look_sam"](w, step, state)


def compiled(rule, optimizer, mode="default", **options):
    """A model whose loss is the bowl."""
    inputs = keras.Input((1,))
    model = SharpnessAwareModel(keras.Model(inputs, Bowl()(inputs)), rule, **options)
    model.compile(optimizer, lambda y, y_pred: y_pred, **MODES[mode])
    return model


def batches(count=1):
    ones = np.ones((4 * count, 1), "float32")
    return ones, 0 * ones


def weights(model):
    return np.concatenate([np.ravel(ops.convert_to_numpy(v)) for v in model.trainable_variables])


VARIANTS = {
    **{name: (name, equation, {}) for name, equation in EQUATIONS.items()},
    "late": ("look_sam", look_sam_late, {"perturb_from": 3}),
    "parts": ("look_sam", EQUATIONS["look_sam"], {"micro_batches": 2, "mean_of_parts": True}),
}


@pytest.mark.parametrize(
    ("variant", "scale", "mode"),
    [
        *((variant, None, "default") for variant in VARIANTS),
        *((variant, 2.0**10, "default") for variant in ("gsam", "look_sam", "saner", "wsam")),
        ("look_sam", None, "eager"),
    ],
)
def test_steps_by_the_equations(variant, scale, mode):
    name, equation, options = VARIANTS[variant]
    w, state = START, {}
    for step in range(STEPS):
        w = w - RATE * equation(w, step, state)

    optimizer = keras.optimizers.SGD(RATE)
    if scale:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=scale)
    model = compiled(fresh(name), optimizer, mode, **options)
    model.fit(*batches(STEPS), batch_size=4, shuffle=False, verbose=0)
    np.testing.assert_allclose(weights(model), w, rtol=1e-4)


def heavy_ball(w):
    """SGD's momentum is that of the source."""
    v = np.zeros_like(w)
    for _ in range(STEPS):
        v = 0.9 * v + gradient(w - 0.2 * v / (norm(v) + 1e-8))
        w = w - RATE * v
    return w


def adam(w):
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = gradient(w - 0.2 * m / (norm(m) + 1e-8))
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        w = w - RATE * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.99**t)) + 1e-7)
    return w


OPTIMIZERS = {
    "sgd": (heavy_ball, lambda: keras.optimizers.SGD(RATE, momentum=0.9)),
    "adam": (adam, lambda: keras.optimizers.Adam(RATE, beta_2=0.99)),
}


@pytest.mark.parametrize(
    ("name", "options", "mode"),
    [
        *((name, {}, "default") for name in OPTIMIZERS),
        ("sgd", {"micro_batches": 2, "mean_of_parts": True}, "default"),
        ("sgd", {}, "eager"),
    ],
)
def test_msam_by_the_equations(name, options, mode):
    equation, optimizer = OPTIMIZERS[name]
    model = compiled(MSAM(rho=0.2), optimizer(), mode, **options)
    history = model.fit(*batches(STEPS), batch_size=4, shuffle=False, verbose=0).history
    np.testing.assert_allclose(weights(model), equation(START), rtol=1e-4)
    assert history["sharpness"] == [0.0]


@pytest.mark.parametrize("optimizer", ["adamw", "nadam", "adamax", "lion"])
def test_msam_takes_optimizers_with_a_momentum(optimizer):
    model = compiled("msam", optimizer)
    losses = [float(model.train_on_batch(*batches())[0]) for _ in range(3)]
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adagrad", "muon"])
def test_msam_refuses_others(optimizer):
    model = compiled("msam", optimizer)
    with pytest.raises(ValueError, match="`optimizer` must keep a momentum"):
        model.train_on_batch(*batches())


def in_random_directions(w, every=1):
    """The directions are drawn variable by variable, anew in each step that perturbs."""
    seeds = keras.random.SeedGenerator(1)
    for step in range(STEPS):
        if step % every:
            w = w - RATE * gradient(w)
            continue
        drawn = [keras.random.normal(np.shape(start), seed=seeds) for start in STARTS]
        z = np.concatenate([np.ravel(ops.convert_to_numpy(z)) for z in drawn])
        w = w - RATE * gradient(w + 0.1 * z / norm(z))
    return w


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({}, "default"),
        ({}, "eager"),
        ({"perturb_every": 2}, "default"),
        # All micro-batches of a step share a direction.
        ({"micro_batches": 2, "mean_of_parts": True}, "default"),
    ],
    ids=["default", "eager", "every", "parts"],
)
def test_random_sam_by_the_equations(options, mode):
    model = compiled(fresh("random_sam"), keras.optimizers.SGD(RATE), mode, **options)
    history = model.fit(*batches(STEPS), batch_size=4, shuffle=False, verbose=0).history
    expected = in_random_directions(START, options.get("perturb_every", 1))
    np.testing.assert_allclose(weights(model), expected, rtol=1e-4)
    assert history["sharpness"] == [0.0]


def test_without_radius_look_sam_takes_plain_steps():
    """Also once it has something to go on along."""
    rates = keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.2, 0.0])
    model = compiled(LookSAM(rho=rates, every=3), keras.optimizers.SGD(RATE))
    w = START
    for step in range(3):
        w = w - RATE * (gradient(w) if step else shifted(w, 0.2)[1])
        model.train_on_batch(*batches())
    np.testing.assert_allclose(weights(model), w, rtol=1e-5)
