"""A radius that follows the learning rate."""

import keras
import numpy as np
import pytest

from keras_zsharp import SAM, SharpnessAwareModel
from keras_zsharp.schedules import FollowLearningRate

schedules = keras.optimizers.schedules
COSINE = schedules.CosineDecay(0.2, 10)
WARM = schedules.CosineDecay(0.0, 8, warmup_target=0.2, warmup_steps=2)


def test_by_the_equation():
    found = [float(FollowLearningRate(COSINE, 0.5, 0.1)(t)) for t in range(11)]
    expected = [0.1 + 0.4 * (1 + np.cos(np.pi * t / 10)) / 2 for t in range(11)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_of_a_warm_up():
    rho = FollowLearningRate(WARM, 0.5, learning_rate_max=0.2)
    assert [float(rho(t)) for t in (0, 1, 2, 10)] == pytest.approx([0, 0.25, 0.5, 0])
    with pytest.raises(ValueError, match="`learning_rate_max` must be > 0"):
        FollowLearningRate(WARM, 0.5)


def test_it_is_clipped_beyond_the_largest_rate():
    assert float(FollowLearningRate(WARM, 0.5, learning_rate_max=0.1)(2)) == pytest.approx(0.5)


def test_rule_and_optimizer_are_at_the_same_step_also_once_loaded(tmp_path):
    net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model = SharpnessAwareModel(net, SAM(FollowLearningRate(COSINE, 0.5)), perturb_every=2)
    model.compile(keras.optimizers.SGD(COSINE), "mse")
    x, y = np.ones((4, 2)), np.ones((4, 1))
    for _ in range(3):
        assert model.rule.rho == pytest.approx(2.5 * float(model.optimizer.learning_rate))
        model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.rule.rho == model.rule.rho
    assert loaded.rule.get_config() == model.rule.get_config()
    loaded.train_on_batch(x, y)
    assert loaded.rule.rho == pytest.approx(2.5 * float(loaded.optimizer.learning_rate))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"learning_rate": 0.1}, TypeError, "`learning_rate` must be a `keras.optimizers"),
        ({"rho": -1}, ValueError, "`rho` must be >= 0"),
        ({"rho": 0.1, "rho_min": 0.2}, ValueError, "`rho_min` must be in [0, rho], and rho is 0.1"),
        ({"learning_rate_max": 0}, ValueError, "`learning_rate_max` must be > 0"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error) as raised:
        FollowLearningRate(**{"learning_rate": COSINE, **arguments})
    assert message in str(raised.value)
