"""Every builder: parameters, shapes, steps of ZSharp, saving."""

import dataclasses
import inspect

import keras
import numpy as np
import pytest

from keras_zsharp import SharpnessAwareModel, models, sharpness_aware


@dataclasses.dataclass(frozen=True)
class Network:
    """What a builder must give at 10 classes, and how it is trained here.

    `side` is that of the images. `xla`: compiled by XLA, too; for the deepest, that takes minutes.
    The networks of the default tier are not `slow`. One that is another in a second size, all else
    equal, is not `computed`: its parameters are counted.
    """

    parameters: int
    full_size: int = 32
    side: int = 8
    slow: bool = False
    xla: bool = False
    computed: bool = True


NETWORKS = {
    "resnet20": Network(269_722, xla=True),
    "resnet32": Network(464_154, computed=False),
    "resnet44": Network(658_586, computed=False),
    "resnet56": Network(853_018, computed=False),
    "resnet110": Network(1_727_962, slow=True),
    "resnet18": Network(11_173_962, slow=True, xla=True),
    "resnet50": Network(23_555_082, side=32, slow=True, xla=True),
    "vgg16_bn": Network(14_728_266, slow=True, xla=True),
    "vgg19_bn": Network(20_040_522, computed=False),
    "wide_resnet_16_8": Network(10_961_370, slow=True, xla=True),
    "wide_resnet_28_10": Network(36_479_194, computed=False),
    "pyramidnet110": Network(28_485_477, slow=True),
    "vit_7_8_8_384": Network(6_268_810, slow=True, xla=True),
    "vit_7_8_12_768": Network(24_923_914, computed=False),
    "deit_small": Network(21_670_282, full_size=224, side=16, slow=True, xla=True),
}


COMPUTED = {name: network for name, network in NETWORKS.items() if network.computed}
every_network = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * COMPUTED[n].slow) for n in COMPUTED]
)


def build(name, side=32, classes=10):
    return getattr(models, name)((side, side, 3), classes)


def built_without_values(*arguments, **options):
    """The same, whose weights have shapes alone: nobody draws 36 million random numbers."""
    with keras.StatelessScope(initialize_variables=False):
        network = build(*arguments, **options)
    keras.utils.clear_session(free_memory=False)  # Nor does the next scope.
    return network


def images(side, count=4):
    return np.random.default_rng(0).normal(size=(count, side, side, 3)).astype("float32")


def parameters(network):
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


def test_every_builder_is_tested():
    families = {"cifar_resnet", "wide_resnet"}
    with_doctests = {"small_cnn", "small_resnet", "small_vit", "strided_cnn"}
    assert set(models.__all__) == set(NETWORKS) | families | with_doctests


@pytest.mark.parametrize("name", NETWORKS)
def test_defaults_and_trainable_parameters(name):
    side = NETWORKS[name].full_size
    signature = inspect.signature(getattr(models, name)).parameters
    assert signature["input_shape"].default == (side, side, 3)
    assert signature["classes"].default == 10
    # KerasHub makes variables that a stateless scope does not allow.
    network = (build if name == "deit_small" else built_without_values)(name, side)
    assert parameters(network) == NETWORKS[name].parameters
    assert network.name == name or name == "deit_small"


def test_trainable_parameters_at_100_classes():
    assert parameters(built_without_values("resnet56", classes=100)) == 858_868


@pytest.mark.parametrize("side", [32, 64])
@every_network
def test_arguments(name, side):
    named = {} if name == "deit_small" else {"name": "mine"}
    network = getattr(models, name)((side, side, 3), classes=7, **named)
    assert network.name == named.get("name", network.name)
    assert network.output_shape == (None, 7)
    logits = network(images(side, 2))
    assert logits.shape == (2, 7)
    assert np.isfinite(logits).all()


def steps():
    for name, network in COMPUTED.items():
        for mode in ("graph", "xla")[: 1 + network.xla]:
            yield name, mode


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mode"), list(steps()))
def test_steps_of_zsharp(name, mode):
    x, y = images(NETWORKS[name].side), np.arange(4)
    network = build(name, NETWORKS[name].side)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    statistics = [v.numpy() for v in network.non_trainable_variables]
    expected = float(loss(y, network(x, training=True)))
    for variable, value in zip(network.non_trainable_variables, statistics, strict=True):
        variable.assign(value)
    before = [v.numpy() for v in network.trainable_variables]
    # A KerasHub task has a `fit` of its own, which a wrapper would not call.
    made = sharpness_aware if name == "deit_small" else SharpnessAwareModel
    model = made(network, "zsharp")
    model.compile(keras.optimizers.SGD(0.01), loss, jit_compile=mode == "xla")
    logs = model.train_on_batch(x, y, return_dict=True)
    np.testing.assert_allclose(logs["loss"], expected, rtol=2e-3)
    assert np.isfinite(logs["sharpness"])
    model.train_on_batch(x, y)  # The last layer of a ViT starts at 0 and holds back gradients.
    for variable, old in zip(network.trainable_variables, before, strict=True):
        new = variable.numpy()
        assert np.isfinite(new).all()
        assert new.ndim < 2 or (new != old).any(), variable.path


@every_network
def test_save_and_load(name, tmp_path):
    network = build(name, NETWORKS[name].side)
    assert not [layer for layer in network.layers if isinstance(layer, keras.layers.Lambda)]
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras", safe_mode=True)
    x = images(NETWORKS[name].side, 2)
    np.testing.assert_array_equal(loaded(x), network(x))
