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


@pytest.mark.slow
def test_fine_tunes_a_backbone(folder, tmp_path, capsys):
    output = tmp_path / "finetuned.keras"
    arguments = ["--dataset", "cifar10", "--preset", "none", "--data-dir", str(folder)]
    short = ["--epochs", "1", "--batch-size", "8", "--output", str(output)]
    finetune_keras_cv.main([*arguments, *short])
    assert "sharpness" in capsys.readouterr().out
    network = keras.models.load_model(output)
    assert network.output_shape == (None, 10)
    fresh = finetune_keras_cv.backbone("none")
    trained = next(layer for layer in network.layers if "backbone" in layer.name)
    for old, new in zip(fresh.get_weights(), trained.get_weights(), strict=True):
        assert old.shape == new.shape
        assert np.isfinite(new).all()


def test_the_backbone_sees_pixels(folder):
    bundle = data.load("cifar10", augment=None, data_dir=folder)
    inputs = keras.Input((32, 32, 3))
    network = finetune_keras_cv.classifier(bundle, keras.Model(inputs, inputs))
    normalization = next(layer for layer in network.layers if "normalization" in layer.name)
    [(images, _)] = bundle.test
    stored = np.array([image for image, _ in random_images(8, (32, 32, 3), seed=1)])
    np.testing.assert_allclose(normalization(images), stored, atol=1e-2)


def test_wrong_arguments_end_in_one_sentence(folder, tmp_path):
    arguments = ["--dataset", "cifar10", "--preset", "none", "--data-dir", str(folder)]
    with pytest.raises(SystemExit, match="ValueError: `rho` must be >= 0"):
        finetune_keras_cv.main([*arguments, "--rho", "-1"])
    with pytest.raises(SystemExit, match="cannot be written"):
        finetune_keras_cv.main(["--data-dir", __file__])
