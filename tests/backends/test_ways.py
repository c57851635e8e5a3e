"""Every kind of net trains to the same weights in each way in, with its rule's whole state."""

import functools
import importlib.util

import keras
import numpy as np
import pytest

from keras_zsharp import SAM, LookSAM, SharpnessAwareModel, rules, sharpness_aware
from keras_zsharp.schedules import FollowLearningRate
from tests.backends import networks, ways
from tests.tiers import crossed

OPTIONS = {
    "": {},
    "micro_batches": {"micro_batches": 2},
    "perturb_every": {"perturb_every": 2},
    "perturb_from": {"perturb_from": 2},
    "perturb_only": {"perturb_only": "normalization"},
    "skip_nonfinite": {"skip_nonfinite": True},
}
RULES = list(rules.RULES)


def rule_of(kind, i):
    """One of all rules. A task is rounded otherwise than its reference: masks of ZSharp jump."""
    rule = RULES[i % len(RULES)]
    return "sam" if (kind, rule) == (ways.task, "zsharp") else rule


CELLS = [
    (kind, rule_of(kind, len(OPTIONS) * i + j), option)
    for i, kind in enumerate(ways.KINDS)
    for j, option in enumerate(OPTIONS)
]
"""Each kind with each option, and all rules."""
DEFAULT = [
    next(cell for cell in CELLS if (cell[0], cell[2]) == shown)
    for shown in [(ways.unbuilt, "perturb_every"), (ways.in_place_within, "")]
]


@functools.cache
def trained(way, kind, rule, option):
    """What training comes to, None where there is no such way."""
    seed = {"seed": 1} if rule == "random_sam" else {}
    model = ways.made(way, kind, networks.rule_of(rule, **seed), **OPTIONS[option])
    if model is None:
        return None
    logs = ways.fit(model, kind, steps=3)
    return [logs["loss"], logs["sharpness"], *networks.copied(model.weights)]


REFERENCES = {ways.task: ways.of_a_task, ways.nested: ways.nested}
"""Nets that are made otherwise, and are the same."""


@pytest.mark.parametrize(("kind", "rule", "option"), crossed(CELLS, default=DEFAULT))
def test_each_way_comes_to_the_same_weights(kind, rule, option):
    if kind is ways.task and importlib.util.find_spec("keras_hub") is None:
        pytest.skip("KerasHub needs TensorFlow")
    reference = trained("wrapper", REFERENCES.get(kind, ways.functional), rule, option)
    for way in ways.WAYS:
        if (kind, way) == (ways.task, "wrapper"):
            with pytest.raises(ValueError, match=r"must not override `compile`, .*`fit`"):
                ways.made(way, kind, "sam")
            continue
        ends = trained(way, kind, rule, option)
        for ours, others in zip(ends or reference, reference, strict=True):
            np.testing.assert_allclose(ours, others, rtol=0, atol=2e-6)


@pytest.mark.parametrize("outer", [SharpnessAwareModel, sharpness_aware])
@pytest.mark.parametrize("inner", [SharpnessAwareModel, sharpness_aware])
def test_two_rules_for_one_model_are_refused(outer, inner):
    with pytest.raises(ValueError, match="`model` must not be sharpness-aware already"):
        outer(inner(ways.functional(), "sam"), "sam")


KINDS = crossed([ways.sequential, ways.unbuilt], default=[ways.sequential])
IN_PLACE = pytest.mark.parametrize("kind", KINDS)
"""A Sequential lists its layers itself: a rule that comes later is none of them."""


@IN_PLACE
def test_a_radius_that_is_set_counts(kind):
    """Also in a program that is made, and as much as in the wrapper."""
    found = []
    for way in ("wrapper", "in place"):
        model = ways.made(way, kind, SAM(rho=0.01), keras.optimizers.SGD(0.0))
        found.append([])
        for rho in (0.01, 1.0):
            model.rule.rho = rho
            found[-1] += ways.fit(model, kind, 1)["sharpness"]
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    assert found[1][1] > 10 * found[1][0] > 0


@IN_PLACE
def test_a_schedule_moves(kind):
    decay = keras.optimizers.schedules.CosineDecay(0.1, 8)
    rule = SAM(FollowLearningRate(decay, 0.1))
    model = ways.made("in place", kind, rule, keras.optimizers.SGD(decay))
    ways.fit(model, kind, 6)
    assert rule.rho == pytest.approx(float(decay(6)))


def look_sam(kind):
    return ways.made("in place", kind, LookSAM(rho=0.1, every=3))


def with_weights(model, kind, path):
    model.save_weights(path / "model.weights.h5")
    other = look_sam(kind)
    ways.fit(other, kind, 1)
    other.load_weights(path / "model.weights.h5")
    return other


def loaded(model, kind, path):
    model.save(path / "model.keras")
    return keras.saving.load_model(path / "model.keras")


FILES = [(k, by) for k in (ways.sequential, ways.unbuilt) for by in (with_weights, loaded)]


@pytest.mark.parametrize(("kind", "through"), crossed(FILES, default=FILES[:2]))
def test_a_file_has_the_rules_state(kind, through, tmp_path):
    """LookSAM keeps a part of a gradient, which steps without a second pass use."""
    model = look_sam(kind)
    ways.fit(model, kind, 3)
    other = through(model, kind, tmp_path)
    [kept, *_] = networks.copied(model.rule.kept)
    assert np.abs(kept).max() > 0
    for each in (model, other):
        ways.fit(each, kind, 2)
    ours, others = (networks.copied(m.rule.variables) for m in (model, other))
    for one, two in zip(
        [*ours, *model.get_weights()], [*others, *other.get_weights()], strict=True
    ):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-6)


@IN_PLACE
def test_a_clone_has_a_rule_of_its_own(kind):
    model = look_sam(kind)
    ways.fit(model, kind, 1)
    model.rule.rho = 0.5
    clone = type(model).from_config(model.get_config())
    clone.compile("sgd", model.loss)
    ways.fit(clone, kind, 2)
    assert clone.rule is not model.rule
    assert clone.rule.rho == 0.5
    assert len(clone.rule.variables) == len(model.rule.variables) > 1
    known = set(map(id, clone.variables))
    assert known.issuperset(map(id, clone.rule.variables))
