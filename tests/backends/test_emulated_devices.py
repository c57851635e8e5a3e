"""PyTorch's devices that are not here, put in the place of what is: Apple's and Intel's GPUs."""

import contextlib
import importlib

import keras
import numpy as np
import pytest

import keras_zsharp
from keras_zsharp import flatness, rules, schedules, sharpness_aware
from keras_zsharp.backend import surroundings
from tests.backends import networks
from tests.still import still

torch = pytest.importorskip("torch", reason="PyTorch's devices")
pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch's devices")
DEVICES = {"mps": 1, "xpu": 2, "cuda": 2}


class WithoutFloat64(torch.utils._python_dispatch.TorchDispatchMode):
    """Refuses float64 as an Apple GPU does."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for leaf in torch.utils._pytree.tree_leaves(made):
            if getattr(leaf, "dtype", None) == torch.float64:
                raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return made


@pytest.mark.parametrize("rule", sorted(rules.RULES))
def test_every_rule_trains_without_float64(rule):
    with WithoutFloat64():
        model = sharpness_aware(networks.network(), rule)
        losses = networks.trained(networks.compiled(model), examples=64)["loss"]
    assert np.isfinite(losses).all()


def test_options_schedules_and_measures_without_float64():
    with WithoutFloat64():
        decay = keras.optimizers.schedules.CosineDecay(0.1, 10)
        rule = keras_zsharp.ZSharp(rho=schedules.FollowLearningRate(decay, 0.1), q_p=decay)
        model = sharpness_aware(networks.network(), rule, micro_batches=2, skip_nonfinite=True)
        networks.compiled(model, keras.optimizers.SGD(decay))
        assert np.isfinite(networks.trained(model, examples=64)["loss"]).all()
        x, y = networks.data(32)
        assert np.isfinite(flatness.hessian_trace(model, (x, y), samples=2).mean)
        assert flatness.ball_loss(model, (x, y), rho=0.1)


def test_a_quantile_is_the_same_without_float64():
    epsilons = []
    gradient = np.random.default_rng(0).normal(size=(1, 101)).astype("float32")
    for device in (contextlib.nullcontext(), WithoutFloat64()):
        with device:
            rule, tensor = keras_zsharp.ZSharp(q_p=0.9), torch.as_tensor(gradient)
            assert rule.q_p == 0.9
            [epsilon] = rule([tensor], [tensor])
        epsilons.append(epsilon.numpy())
    np.testing.assert_array_equal(*epsilons)


@pytest.fixture(params=DEVICES)
def generators(request, monkeypatch):
    """The generators of several devices of one kind, emulated on the CPU."""
    kind, module = request.param, getattr(torch, request.param)
    made = [torch.Generator().manual_seed(i) for i in range(DEVICES[kind])]
    monkeypatch.setattr(module, "device_count", lambda: len(made))
    monkeypatch.setattr(module, "is_available", lambda: True)
    monkeypatch.setattr(module, "get_rng_state", lambda i=0: made[i].get_state())
    monkeypatch.setattr(module, "set_rng_state", lambda s, i=0: made[i].set_state(s))
    known = importlib.import_module("keras_zsharp.backend.torch.randomness")._generators
    known.cache_clear()
    yield made
    known.cache_clear()


class Drawing(keras.layers.Layer):
    """Draws from a device's own generator, as PyTorch's dropout does."""

    draw = staticmethod(lambda: 0.0)

    def call(self, inputs):
        return inputs * (1 + 0.1 * self.draw())


def test_both_passes_draw_from_devices_what_plain_keras_draws(generators, monkeypatch):
    monkeypatch.setattr(Drawing, "draw", lambda _: torch.rand((), generator=generators[-1]))
    first, found = generators[-1].get_state(), []
    for way in (lambda net: net, lambda net: sharpness_aware(net, still())):
        generators[-1].set_state(first)
        model = networks.compiled(way(networks.network(Drawing())))
        networks.trained(model, examples=64)
        found.append((model.get_weights()[:6], generators[-1].get_state()))
    for plain, ours in zip(*(weights for weights, _ in found), strict=True):
        np.testing.assert_array_equal(plain, ours)
    assert torch.equal(found[0][1], found[1][1])


def test_generators_of_devices_are_saved_with_the_model(generators, tmp_path):
    path, model = tmp_path / "model.weights.h5", sharpness_aware(networks.network(), "sam")
    networks.compiled(model)
    model.save_weights(path)
    first = [generator.get_state() for generator in generators]
    drawn = [torch.rand(1, generator=generator) for generator in generators]
    model.load_weights(path)
    assert all(map(torch.equal, first, [generator.get_state() for generator in generators]))
    assert drawn == [torch.rand(1, generator=generator) for generator in generators]


def test_states_of_devices_that_are_not_here_are_ignored(generators):
    states = surroundings.generators()
    surroundings.set_generators({**states, "npu_0": states["0"], "1": states.get("1", np.zeros(1))})
    assert {name: s.tolist() for name, s in surroundings.generators().items()} == {
        name: s.tolist() for name, s in states.items()
    }
