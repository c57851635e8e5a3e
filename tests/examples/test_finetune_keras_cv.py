import keras
import numpy as np
import pytest

from examples import finetune_keras_cv
from keras_zsharp import data
from tests.data.stored import random_images, store


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifar")
    train, test = random_images(24, (32, 32, 3)), random_images(8, (32, 32, 3), seed=1)
    store(folder, "cifar10", train, test, shape=(32, 32, 3))
    return folder


@pytest.fixture
def backbones(monkeypatch):
    """The backbones that the program makes, each with its weights of before."""
    made, make = [], finetune_keras_cv.backbone

    def spy(preset):
        features = make(preset)
        made.append((features.name, features.get_weights()))
        return features

    monkeypatch.setattr(finetune_keras_cv, "backbone", spy)
    return made


@pytest.mark.slow
def test_fine_tunes_a_backbone(backbones, folder, tmp_path, capsys):
    output = tmp_path / "finetuned.keras"
    arguments = ["--dataset", "cifar10", "--preset", "none", "--data-dir", str(folder)]
    short = ["--epochs", "1", "--batch-size", "8", "--output", str(output)]
    finetune_keras_cv.main([*arguments, *short])
    assert "sharpness" in capsys.readouterr().out
    network = keras.models.load_model(output)
    assert network.output_shape == (None, 10)
    [(name, before)] = backbones
    after = network.get_layer(name).get_weights()
    assert all(np.isfinite(new).all() for new in after)
    # A little: weights by the learning rate, statistics by what the images are.
    moved = [(new != old).any() for old, new in zip(before, after, strict=True)]
    assert all(moved)
    kernels = [(old, new) for old, new in zip(before, after, strict=True) if old.ndim == 4]
    assert all(0 < np.abs(new - old).max() < 0.01 for old, new in kernels)


def test_the_backbone_sees_pixels(folder):
    bundle = data.load("cifar10", augment=None, data_dir=folder)
    inputs = keras.Input((32, 32, 3))
    network = finetune_keras_cv.classifier(bundle, keras.Model(inputs, inputs))
    normalization = next(layer for layer in network.layers if "normalization" in layer.name)
    [(images, _)] = bundle.test
    stored = np.array([image for image, _ in random_images(8, (32, 32, 3), seed=1)])
    np.testing.assert_allclose(normalization(images), stored, atol=1e-2)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--rho", "-1", "--rho and --weight-decay must be >= 0"),
        ("--learning-rate", "nan", "--learning-rate > 0"),
        ("--epochs", "2.5", "argument --epochs: invalid int value: '2.5'"),
        ("--batch-size", "0", "--epochs and --batch-size must be >= 1"),
    ],
)
def test_wrong_numbers_end_in_one_sentence(option, value, message, capsys):
    with pytest.raises(SystemExit):
        finetune_keras_cv.main([option, value])
    assert message in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_ends_in_one_sentence():
    with pytest.raises(SystemExit, match="cannot be written"):
        finetune_keras_cv.main(["--data-dir", __file__])
