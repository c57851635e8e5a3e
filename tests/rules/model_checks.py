"""What every rule must pass in a model that trains by it."""

import keras
import numpy as np
import pytest

from keras_zsharp import SharpnessAwareModel
from tests.rules.checks import draws
from tests.rules.rules import again
from tests.training.cases import CASES, MODES, assert_same


class ModelChecks:
    """A subclass has a fixture `rule`, of a rule that has not been called."""

    def test_without_radius_it_is_plain_keras(self, rule):
        rule.rho = 0.0
        ours, theirs = trained("sequential", rule), trained("sequential", None)
        assert_same(ours.model.get_weights(), theirs.get_weights())

    @pytest.mark.matrix
    @pytest.mark.parametrize("mode", ["graph", "xla"])
    def test_it_trains_as_eagerly(self, rule, mode):
        """Without dropout: XLA draws in a way of its own."""
        if mode == "xla" and draws(rule):
            assert all(
                np.isfinite(w).all() for w in trained("regularized", rule, mode).get_weights()
            )
            return
        eagerly = trained("regularized", again(rule)).get_weights()
        for ours, theirs in zip(
            trained("regularized", rule, mode).get_weights(), eagerly, strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)

    @pytest.mark.matrix
    def test_it_goes_on_from_a_file_with_the_same_bits(self, rule, tmp_path):
        straight = trained("sequential", again(rule), epochs=4)
        trained("sequential", rule, epochs=2).save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        loaded.run_eagerly = True
        fit(loaded, "sequential", epochs=2)
        assert_same(loaded.get_weights(), straight.get_weights())


def trained(case, rule, mode="eager", epochs=2):
    """A model after some steps by the rule; by None in plain Keras."""
    keras.utils.set_random_seed(0)
    net = CASES[case].build()
    model = net if rule is None else SharpnessAwareModel(net, rule)
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    model.compile(optimizer, CASES[case].loss, **MODES[mode])
    return fit(model, case, epochs)


def fit(model, case, epochs):
    case = CASES[case]
    model.fit(case.x, case.y, batch_size=4, epochs=epochs, shuffle=False, verbose=0)
    return model
