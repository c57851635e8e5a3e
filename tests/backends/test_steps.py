"""A rule's steps are the optimizer's, whenever the rule came to the model."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_zsharp import LESAM, SAM, LookSAM, SharpnessAwareModel, ZSharp, sharpness_aware
from keras_zsharp.rules import state
from keras_zsharp.schedules import FollowLearningRate
from tests.backends import networks, optimizers

DECAY = keras.optimizers.schedules.CosineDecay(0.1, 40)
PLAIN = 32


def sgd(**arguments):
    return keras.optimizers.SGD(DECAY, momentum=0.9, **arguments)


def trained_plainly(net):
    optimizers.fit(networks.compiled(net, sgd()), PLAIN)
    return net


def in_place(rule, _):
    return sharpness_aware(trained_plainly(optimizers.network()), rule)


def replaced(rule, _):
    model = SharpnessAwareModel(optimizers.network(), SAM(rho=0.0))
    optimizers.fit(networks.compiled(model, sgd()), PLAIN)
    model.rule = rule
    return model


def loaded(rule, folder):
    path = folder / "plain.weights.h5"
    trained_plainly(optimizers.network()).save_weights(path)
    model = networks.compiled(SharpnessAwareModel(optimizers.network(), rule), sgd())
    model.optimizer.build(model.trainable_variables)
    model.load_weights(path)
    return model


@pytest.mark.parametrize("way", [in_place, replaced, loaded])
def test_a_schedule_goes_on_where_the_optimizer_is(way, tmp_path):
    model = way(SAM(FollowLearningRate(DECAY, 0.1)), tmp_path)
    assert model.rule.rho == pytest.approx(0.0095, abs=5e-5)
    optimizers.fit(model, 1)
    assert model.rule.rho == pytest.approx(float(DECAY(PLAIN + 1)))


def perturbs(model, batches=1):
    """Which of the next steps have a sharpness."""
    x, y = optimizers.data(1)
    found = []
    for _ in range(batches):
        model.reset_metrics()
        found.append(int(model.train_on_batch(x, y, return_dict=True)["sharpness"] != 0))
    return found


@pytest.mark.parametrize("way", [in_place, replaced])
def test_look_sam_is_in_the_phase_of_the_optimizer(way, tmp_path):
    assert perturbs(way(LookSAM(rho=0.1, every=5), tmp_path), 8) == [0, 0, 0, 1, 0, 0, 0, 0]


FIRST = keras.optimizers.schedules.PiecewiseConstantDecay([0], [1.0, 0.0])
"""1 in step 0, and 0 from then on."""


@pytest.mark.parametrize(
    ("rule", "options", "expected"),
    [
        (lambda: SAM(rho=0.1), {"perturb_every": 2}, [1, 1, 0, 0, 1, 1]),
        (lambda: SAM(rho=0.1), {"perturb_from": 2}, [0, 0, 0, 0, 1, 1]),
        (lambda: SAM(rho=FIRST), {}, [1, 1, 0, 0, 0, 0]),
        (lambda: LESAM(sigma=FIRST), {}, [1, 1, 0, 0, 0, 0]),
        (lambda: LookSAM(rho=0.1, every=2), {}, [1, 1, 0, 0, 1, 1]),
    ],
    ids=["every", "from", "rho", "sigma", "look_sam"],
)
def test_with_accumulation_updates_are_counted(rule, options, expected):
    model = SharpnessAwareModel(optimizers.network(), rule(), **options)
    networks.compiled(model, sgd(gradient_accumulation_steps=2), run_eagerly=True)
    assert perturbs(model, 6) == expected


def test_a_skipped_step_is_not_counted():
    rule = SAM(rho=keras.optimizers.schedules.PolynomialDecay(1.0, 4, 0.0))
    model = SharpnessAwareModel(optimizers.network(), rule, skip_nonfinite=True)
    networks.compiled(model, sgd())
    x, y = optimizers.data(1)
    for rho, images in ((1.0, x), (0.75, np.nan * x), (0.75, x), (0.5, x)):
        assert rule.rho == pytest.approx(rho)
        model.train_on_batch(images, y)


class AtThirds(SAM):
    """Perturbs at every third step, by a radius that grows with the steps."""

    def perturbs(self, step):
        return ops.logical_and(super().perturbs(step), step % 3 == 0)

    def call(self, gradients, variables, rho, step):
        return super().call(gradients, variables, rho * (1.0 + ops.cast(step, "float32")))


class Simple(ZSharp):
    """Overrides what takes a step by what takes none, as in version 0.2."""

    def perturbs(self):
        return super().perturbs()

    def call(self, gradients, variables, rho):
        return super().call(gradients, variables, rho)


@pytest.mark.parametrize(
    ("rule", "expected"), [(AtThirds(0.1), [1, 0, 0, 1]), (Simple(0.1), [1, 1, 1, 1])]
)
def test_a_rule_of_ones_own_gets_the_step_if_it_takes_it(rule, expected):
    model = networks.compiled(SharpnessAwareModel(optimizers.network(), rule), sgd())
    assert perturbs(model, 4) == expected
    assert model.every_step_perturbs is (True if all(expected) else None)


def test_without_a_model_a_schedule_reads_as_its_first_value():
    rule = SAM(rho=DECAY)
    assert rule.rho == pytest.approx(0.1)
    assert rule.rho == SharpnessAwareModel(optimizers.network(), rule).rule.rho


def test_the_count_of_a_file_of_version_02_is_read_over():
    rule, weight = LookSAM(rho=0.25), keras.Variable([1.0, 2.0])
    store = {
        "LookSAM.0.rho": np.float32(0.5),
        "LookSAM.1.count": np.int64(7),
        "LookSAM.2.orthogonal": np.float32([3, 4]),
    }
    rule.load_own_variables(store)
    rule.build([weight])
    assert rule.rho == 0.5
    assert networks.copied(rule.kept)[0].tolist() == [3, 4]
    scheduled = SAM(rho=DECAY)
    state.load(scheduled, {"SAM.0.count": np.int64(7)})
    assert scheduled.rho == pytest.approx(0.1)
