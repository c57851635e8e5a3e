"""The examples of a field each train twice, and print both results."""

import importlib
import re

import numpy as np
import pytest

from examples import image_folder, segmentation
from tests.tiers import crossed

RESULTS = {
    "segmentation": "test IoU",
    "multi_label": "test average precision",
    "tabular": "test accuracy",
    "image_folder": "test accuracy",
}


@pytest.mark.parametrize("name", crossed(RESULTS, ["tabular"], tier="slow"))
def test_trains_without_and_with_sam(name, capsys):
    pytest.importorskip("sklearn" if name == "tabular" else "PIL")
    program = importlib.import_module(f"examples.{name}")
    program.main(["--epochs", "1", "--rho", "0.1"])
    first, *_, adamw, sam = capsys.readouterr().out.splitlines()
    assert re.search(r"twice, without and with SAM: .+ of a CPU core\.$", first)
    for line, method in ((adamw, "AdamW"), (sam, "SAM(rho=0.1)")):
        [percent] = re.findall(rf"^{re.escape(method)}: {RESULTS[name]} ([\d.]+) %$", line)
        assert 0 <= float(percent) <= 100


def test_masks_lack_whole_digits():
    digits = np.full((1, 8, 8, 1), 0.4, "float32")
    pictures, masks = segmentation.scenes(digits, 50, 0.4, np.random.default_rng(0))
    assert pictures.shape == masks.shape == (50, 32, 32, 1)
    drawn = masks.sum(axis=(1, 2, 3)) / 64
    assert set(drawn) <= set(range(7))
    assert drawn.mean() == pytest.approx(6 * 0.6, abs=0.4)
    _, whole = segmentation.scenes(digits, 2, 0, np.random.default_rng(0))
    assert whole.sum() == 2 * 6 * 64


def test_pictures_of_a_folder_have_the_classes_of_their_folders(tmp_path):
    pytest.importorskip("PIL")
    image_folder.write_digits(tmp_path, 0)
    train, test = (image_folder.Pictures(tmp_path / split, 8) for split in ("train", "test"))
    assert len(train.files) == 1200
    assert len(test.files) == 597
    assert train.classes == test.classes == list("0123456789")
    digits = image_folder.keras_zsharp.data.digits(label_noise=0.4).arrays["train"]
    images, labels = train[len(train) - 1]
    assert len(images) == 1200 % 64
    for file, image, label in zip(train.files[-len(images) :], images, labels, strict=True):
        number = int(file.stem)
        np.testing.assert_allclose(image[..., :1], digits[0][number], atol=0.01)
        assert label == digits[1][number]
