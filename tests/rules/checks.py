"""What every rule must pass when it is called."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_zsharp import rules
from tests.rules.rules import again, inputs, length
from tests.tiers import crossed

OTHERS = {
    "name": "mine",
    "seed": 3,
    "norm": "per_variable",
    "score": "magnitude",
    "percentile_scope": "global",
}
"""A value that is no default, for arguments that are no numbers; of a number it is half of it."""


def others(rule):
    """Each argument of the rule's class, with a value that is not its default."""
    for name, parameter in inspect.signature(type(rule)).parameters.items():
        default = parameter.default
        yield name, OTHERS[name] if name in OTHERS else type(default)(default / 2)


def draws(rule):
    """Whether a rule draws numbers. XLA draws in a way of its own."""
    return hasattr(rule, "seed_generator")


class RuleChecks:
    """A subclass has a fixture `rule`, of a rule with rho=0.1 that has not been called."""

    def test_none_stays_none_and_shapes_and_dtypes_stay(self, rule):
        gradients, variables = inputs()
        epsilons = rule(gradients, variables, 0)
        assert epsilons[-1] is None
        for epsilon, gradient in zip(epsilons[:-1], gradients[:-1], strict=True):
            assert tuple(epsilon.shape) == gradient.shape
            assert keras.backend.standardize_dtype(epsilon.dtype) == "float32"

    @pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-8, 1e8])
    def test_never_nan_for_finite_gradients(self, rule, scale):
        epsilons = rule(*inputs(scale), 0)
        assert all(np.isfinite(e).all() for e in epsilons[:-1])
        assert length(epsilons) <= 0.5

    @pytest.mark.parametrize("poison", [np.nan, np.inf])
    def test_poison_is_not_hidden(self, rule, poison):
        """A loss-scale optimizer must see it in the second gradients."""
        if rule.reads == "weights":
            return  # Their NaN is in w + e, whatever e is.
        gradients, variables = inputs()
        gradients[0][1, 2] = poison
        assert not all(np.isfinite(e).all() for e in rule(gradients, variables, 0)[:-1])

    def test_half_precision_gradients(self, rule):
        """Squares of such gradients overflow, or flush to zero, in float16."""
        gradients, variables = inputs()
        for scale in (1e-4, 5e3):
            half = [None if g is None else (scale * g).astype("float16") for g in gradients]
            full = [None if g is None else g.astype("float32") for g in half]
            both = again(rule)(half, variables, 0)[:-1], again(rule)(full, variables, 0)[:-1]
            for ours, exact in zip(*both, strict=True):
                assert keras.backend.standardize_dtype(ours.dtype) == "float16"
                np.testing.assert_allclose(ours, exact, rtol=2e-3, atol=1e-6)

    @pytest.mark.parametrize("jit_compile", crossed([False, True], default=[False]))
    def test_eager_graph_and_xla_agree(self, rule, jit_compile):
        eager = again(rule)
        _, variables = inputs()
        rule.build(variables)
        function = tf.function(
            lambda *g: rule([*g, None], variables, 0)[:-1], jit_compile=jit_compile
        )
        for seed in range(3):
            gradients, _ = inputs(seed=seed)
            both = function(*map(tf.constant, gradients[:-1])), eager(gradients, variables, 0)[:-1]
            if jit_compile and draws(rule):
                assert length(both[0]) == pytest.approx(length(both[1]), rel=1e-4)
                continue
            for ours, exact in zip(*both, strict=True):
                np.testing.assert_allclose(ours, exact, rtol=1e-4, atol=1e-7)

    def test_a_weight_of_no_elements(self, rule):
        gradients, variables = inputs()
        nothing = np.zeros((0, 3), "float32")
        empty = keras.Variable(nothing, name="kernel")
        alone = again(rule)(gradients, variables, 0)
        *epsilons, found = rule([*gradients, nothing], [*variables, empty], 0)
        assert found.shape == (0, 3)
        for ours, theirs in zip(epsilons, alone, strict=True):
            assert (ours is None) == (theirs is None)
            assert ours is None or np.array_equal(ours, theirs)

    def test_config_round_trip(self, rule):
        config = rule.get_config()
        assert config["rho"] == 0.1
        assert again(rule).get_config() == config
        serialized = keras.saving.serialize_keras_object(rule)
        assert rules.get(serialized).get_config() == config

    def test_every_argument_is_in_the_config(self, rule):
        given, parameters = dict(others(rule)), inspect.signature(type(rule)).parameters
        assert all(given[name] != parameters[name].default for name in parameters)
        copied = again(type(rule)(**given))
        assert {name: getattr(copied, name) for name in given} == given

    def test_a_wrong_argument_is_named(self, rule):
        for name in dict(others(rule)).keys() - {"name"}:
            with pytest.raises(TypeError, match=f"`{name}` must be .* Received: {name}="):
                type(rule)(**{name: object()})
