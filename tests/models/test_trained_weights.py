"""`cifar_resnet` with weights that PyTorch has trained is as good as their author says."""

import numpy as np
import pytest
from keras import layers

from keras_zsharp import data, models
from tests.real_data import real

pytestmark = pytest.mark.slow
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the author, for pixels from 0 to 1
IN_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


def names(depth):
    """PyTorch's names of the convolutions, in the order of Keras' layers."""
    blocks = [f"layer{stage}.{block}" for stage in (1, 2, 3) for block in range((depth - 2) // 6)]
    return ["conv1", *(f"{block}.conv{number}" for block in blocks for number in (1, 2))]


def load(model, weights, depth):
    """Takes over all of the arrays by PyTorch's names: none is left."""

    def of(kind):
        return [layer for layer in model.layers if isinstance(layer, kind)]

    left = dict(weights)
    convolutions, normalizations = of(layers.Conv2D), of(layers.BatchNormalization)
    for name, conv, norm in zip(names(depth), convolutions, normalizations, strict=True):
        conv.set_weights([left.pop(f"{name}.weight").transpose(2, 3, 1, 0)])
        norm.set_weights(
            [left.pop(f"{name.replace('conv', 'bn')}.{part}") for part in IN_BATCH_NORM]
        )
    [dense] = of(layers.Dense)
    dense.set_weights([left.pop("linear.weight").T, left.pop("linear.bias")])
    assert not left


@pytest.mark.parametrize(("depth", "percent"), [(20, 91.73), (56, 93.39)])
def test_test_accuracy_is_that_of_the_author(depth, percent):
    weights, folder = real(f"weights/resnet{depth}.npz"), real("cifar10/images.zip")
    model = models.cifar_resnet(depth)
    with np.load(weights) as arrays:
        load(model, arrays, depth)
    test = data.cifar10(data_dir=folder).splits["test"]
    assert test.size == 10_000
    images = (test.images / np.float32(255) - np.float32(MEAN)) / np.float32(STD)
    right = model.predict(images, 500, verbose=0).argmax(-1) == test.labels
    assert round(100 * right.mean(), 2) == percent
