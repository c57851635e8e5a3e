"""What holds for every shape, scale, type and setting of the rules."""

import inspect
import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_zsharp import (
    ASAM,
    SAM,
    AdaptiveFriendlySAM,
    FisherSAM,
    FriendlySAM,
    SharpnessAwareModel,
    ZSharp,
    rules,
)
from keras_zsharp.selection.masks import zscore_masks
from keras_zsharp.training import options
from tests.rules.rules import length

radii = st.floats(0, 10)
shapes = st.lists(st.lists(st.integers(1, 5), max_size=4).map(tuple), min_size=1, max_size=4)
seeds = st.integers(0, 2**32 - 1)
shares = st.floats(0, 0.99)
of_friendly_sam = {"lmbda": st.floats(0.1, 0.99), "sigma": st.floats(0, 1)}
etas = st.floats(1e-3, 1)
zsharps = st.builds(
    ZSharp,
    radii,
    shares,
    norm=st.sampled_from(["global", "per_variable"]),
    min_rank=st.integers(0, 3),
    score=st.sampled_from(["zscore", "magnitude"]),
    percentile_scope=st.sampled_from(["variable", "global"]),
)
drawn_rules = st.one_of(
    st.builds(SAM, radii),
    zsharps,
    st.builds(ASAM, radii, etas),
    st.builds(FisherSAM, radii, etas),
    st.builds(FriendlySAM, radii, **of_friendly_sam),
    st.builds(AdaptiveFriendlySAM, radii, **of_friendly_sam, eta=etas),
)


def drawn(shapes, seed, scale=1.0, dtype="float32"):
    """Gradients and variables of these shapes."""
    random = np.random.default_rng(seed)
    gradients = [
        keras.ops.convert_to_tensor(scale * random.normal(size=shape), dtype) for shape in shapes
    ]
    return gradients, [keras.Variable(random.normal(size=shape), dtype=dtype) for shape in shapes]


def as_arrays(epsilons):
    return [keras.ops.convert_to_numpy(keras.ops.cast(e, "float32")) for e in epsilons]


@given(drawn_rules, shapes, seeds, st.integers(-30, 15), st.booleans())
def test_finite_gradients_give_finite_perturbations(rule, shapes, seed, exponent, constant):
    gradients, variables = drawn(shapes, seed, 10.0**exponent)
    if constant:
        gradients = [keras.ops.full_like(g, 10.0**exponent) for g in gradients]
    epsilons = rule(gradients, variables, 0)
    for epsilon, gradient in zip(epsilons, gradients, strict=True):
        assert epsilon.shape == gradient.shape
        assert epsilon.dtype == gradient.dtype
        assert np.isfinite(epsilon).all()


@given(drawn_rules, shapes, seeds, st.sampled_from(["float16", "bfloat16"]), st.integers(-6, 4))
def test_half_precision_neither_overflows_nor_flushes_to_zero(rule, shapes, seed, dtype, exponent):
    gradients, variables = drawn(shapes, seed, 10.0**exponent, dtype)
    epsilons = rule(gradients, variables, 0)
    assert {keras.backend.standardize_dtype(e.dtype) for e in epsilons} == {dtype}
    assert all(np.isfinite(e).all() for e in as_arrays(epsilons))
    if isinstance(rule, SAM) and any(g.any() for g in as_arrays(gradients)):
        assert length(as_arrays(epsilons)) == pytest.approx(rule.rho, rel=0.05, abs=1e-5)


@given(
    st.one_of(
        st.builds(SAM, radii),
        st.builds(ZSharp, radii, shares, min_rank=st.integers(0, 3)),
        st.builds(FriendlySAM, radii, **of_friendly_sam),
    ),
    shapes,
    seeds,
    st.integers(-2, 15),
)
def test_the_length_is_rho(rule, shapes, seed, exponent):
    epsilons = rule(*drawn(shapes, seed, 10.0**exponent), 0)
    assert length(epsilons) == pytest.approx(rule.rho, rel=1e-4, abs=1e-30)


@given(shapes, seeds, st.floats(0, 1))
def test_masks_keep_the_documented_count(shapes, seed, q_p):
    gradients, _ = drawn(shapes, seed)
    for mask, shape in zip(zscore_masks(gradients, q_p), shapes, strict=True):
        size = math.prod(shape)
        if size == 2 and q_p > 0:
            # Their deviations from the mean are equal, but for its rounding, and ties are dropped.
            assert int(np.sum(mask)) <= 1
            continue
        kept = size if q_p == 0 else size - 1 - math.floor((size - 1) * q_p)
        assert int(np.sum(mask)) == kept


@given(
    st.one_of(st.builds(SAM, radii), zsharps, st.builds(ASAM, radii, etas)),
    shapes,
    seeds,
    st.integers(1, 24),
)
def test_the_loss_scale_changes_nothing(rule, shapes, seed, exponent):
    gradients, variables = drawn(shapes, seed)
    plain = rule(gradients, variables, 0)
    scaled = rule([g * 2.0**exponent for g in gradients], variables, 0)
    for left, right in zip(plain, scaled, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.integers(-3, 3),
    st.sampled_from(["", "global", "per_variable", "x", [], {}, (0.1,), np.float32(0.1), 1j]),
)
ARGUMENTS = [
    (rule, argument)
    for rule in rules.RULES.values()
    for argument in inspect.signature(rule).parameters
    if argument != "name"
]


def made_or_refused(make, argument, value):
    """What is made with the argument; None where it is refused by name."""
    refused = None
    try:
        return make(**{argument: value})
    except (TypeError, ValueError) as error:
        refused = str(error)
    assert f"`{argument}` must " in refused
    assert f"Received: {argument}=" in refused


@given(st.sampled_from(ARGUMENTS), anything, seeds)
@settings(max_examples=5 * settings.default.max_examples)
def test_an_argument_works_or_is_named(rule_and_argument, value, seed):
    rule, argument = rule_and_argument
    rule = made_or_refused(rule, argument, value)
    if rule is None:
        return
    epsilons = rule(*drawn([(4, 3), (3,)], seed), 0)
    assert not any(np.isnan(e).any() for e in epsilons)
    assert type(rule).from_config(rule.get_config()).get_config() == rule.get_config()


@given(st.sampled_from(options.NAMES), anything)
def test_an_argument_of_the_model_works_or_is_named(argument, value):
    def train(**settings):
        net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model = SharpnessAwareModel(net, "sam", **settings)
        model.compile("sgd", "mse", run_eagerly=True)
        return model.train_on_batch(np.ones((4, 2)), np.ones((4, 1)))

    # `perturb_only` can be refused only where the weights are known, which is in the first step.
    loss = made_or_refused(train, argument, value)
    assert loss is None or np.isfinite(loss).all()
