"""What the parameter count does not tell: shortcuts, strides, initial values, arguments."""

import sys

import keras
import numpy as np
import pytest
from keras import layers

from keras_zsharp import models
from keras_zsharp.models import blocks


def images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def adds(network):
    return [layer for layer in network.layers if isinstance(layer, layers.Add)]


def at(network, tensors, x):
    return [np.asarray(value) for value in keras.Model(network.input, tensors)(x)]


@pytest.mark.parametrize("side", [8, 9])
def test_a_strided_convolution_is_centred_on_every_second_pixel(side):
    inputs = keras.Input((side, side, 1))
    model = keras.Model(inputs, blocks.conv(inputs, 1, strides=2))
    kernel = np.zeros((3, 3, 1, 1), "float32")
    kernel[1, 1] = 1
    model.set_weights([kernel])
    x = images(2, side, side, 1)
    np.testing.assert_array_equal(model(x), x[:, ::2, ::2])


def test_cifar_shortcut_takes_every_second_pixel_and_pads_channels():
    network = models.resnet20((8, 8, 3))
    before, changing = adds(network)[2:4]
    relu = next(node.operation for node in before._outbound_nodes)
    x, shortcut = at(network, [relu.output, changing.input[0]], images(2, 8, 8, 3))
    assert (x.shape, shortcut.shape) == ((2, 8, 8, 16), (2, 4, 4, 32))
    np.testing.assert_array_equal(shortcut[..., 8:24], x[:, ::2, ::2])
    assert not shortcut[..., :8].any()
    assert not shortcut[..., 24:].any()


@pytest.mark.slow
def test_pyramidnet_shortcut_averages_pixels_and_pads_channels_at_the_end():
    network = models.pyramidnet110((4, 4, 3), alpha=54)
    before, changing = adds(network)[17:19]
    x, shortcut = at(network, [before.output, changing.input[0]], images(2, 4, 4, 3))
    assert (x.shape, shortcut.shape) == ((2, 4, 4, 34), (2, 2, 2, 35))
    means = x.reshape(2, 2, 2, 2, 2, 34).mean(axis=(2, 4))
    np.testing.assert_allclose(shortcut[..., :34], means, rtol=1e-4, atol=1e-4)
    assert not shortcut[..., 34].any()


def test_wide_resnet_projects_what_its_first_relu_gives():
    network = models.wide_resnet(10, 1, (8, 8, 3))
    shortcut = adds(network)[1].input[0]
    projection = shortcut._keras_history.operation
    assert isinstance(projection, layers.Conv2D)
    assert projection.kernel_size == (1, 1)
    assert isinstance(projection.input._keras_history.operation, layers.ReLU)


def test_dropout():
    for network in (
        models.wide_resnet(10, 1, (8, 8, 3), dropout=0.3),
        models.vit_7_8_8_384((8, 8, 3), dropout=0.3),
    ):
        rates = [layer.rate for layer in network.layers if isinstance(layer, layers.Dropout)]
        assert set(rates) == {0.3}
        assert len(rates) == (3 if "wide" in network.name else 15)


def test_initial_values_of_convolutional_networks():
    network = models.vgg16_bn()
    convolutions = [layer for layer in network.layers if isinstance(layer, layers.Conv2D)]
    for layer in convolutions[1:]:
        expected = (2 / (9 * layer.filters)) ** 0.5
        np.testing.assert_allclose(np.std(layer.kernel), expected, rtol=0.03)
        assert not np.any(layer.bias)
    kernel = np.asarray(network.get_layer("logits").kernel)
    np.testing.assert_allclose(np.abs(kernel).max(), 512**-0.5, rtol=0.01)
    [first, *_] = [layer for layer in network.layers if "batch_norm" in layer.name]
    assert (first.momentum, first.epsilon) == (0.9, 1e-5)


def test_initial_values_of_transformers():
    network = models.vit_7_8_8_384()
    attention = [layer for layer in network.layers if "multi_head" in layer.name]
    assert len(attention) == 7
    for layer in attention:
        for dense in (layer.query_dense, layer.key_dense, layer.value_dense, layer.output_dense):
            kernel = np.asarray(dense.kernel)
            assert np.abs(kernel).max() <= (6 / (384 + 384)) ** 0.5
            np.testing.assert_allclose(kernel.std(), (2 / (384 + 384)) ** 0.5, rtol=0.01)
    positions = network.get_layer("positions")
    assert positions.positions.shape == (1, 65, 384)
    np.testing.assert_allclose(np.std(positions.positions), 0.02, rtol=0.03)
    assert not np.any(positions.token)
    assert not np.any(network.get_layer("logits").kernel)


@pytest.mark.parametrize(("side", "patch"), [(32, 4), (64, 8)])
def test_patches_make_a_grid_of_8_by_8(side, patch):
    network = models.vit_7_8_8_384((side, side, 3))
    assert network.get_layer("patches").kernel.shape == (patch, patch, 3, 384)
    assert network.get_layer("positions").output.shape == (None, 65, 384)


def test_transformer_reads_its_class_token():
    """Moving the patches about changes the logits through the positions alone."""
    network = models.vit_7_8_8_384((8, 8, 3))
    head = network.get_layer("logits")
    head.kernel.assign(images(384, 10))
    x = images(2, 8, 8, 3)
    assert np.abs(network(x) - network(x[:, ::-1])).max() > 1e-3
    network.get_layer("positions").positions.assign(np.zeros((1, 65, 384)))
    np.testing.assert_allclose(network(x), network(x[:, ::-1]), atol=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.cifar_resnet(21), r"`depth` must be 6n \+ 2 .* Received: depth=21"),
        (lambda: models.cifar_resnet(2), r"`depth` must be 6n \+ 2 .* Received: depth=2"),
        (lambda: models.wide_resnet(20, 8), r"`depth` must be 6n \+ 4 .* Received: depth=20"),
        (lambda: models.wide_resnet(16, 0), r"`width` must be an int >= 1. Received: width=0"),
        (lambda: models.pyramidnet110(alpha=-1), r"`alpha` must be >= 0. Received: alpha=-1"),
        (
            lambda: models.vit_7_8_8_384((30, 32, 3)),
            r"of 8. Received: input_shape=\(30, 32, 3\)",
        ),
        (
            lambda: models.deit_small((30, 32, 3)),
            r"of 16. Received: input_shape=\(30, 32, 3\)",
        ),
    ],
)
def test_arguments_outside_of_their_bounds(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_deit_without_keras_hub(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-zsharp\[hub\]'"):
        models.deit_small()
