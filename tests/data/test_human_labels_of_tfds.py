"""What people called the images of CIFAR-10, out of tensorflow-datasets."""

import numpy as np
import pytest

from keras_zsharp import data
from tests.data.painted import labels_by_picture
from tests.data.stored import random_images, store

KINDS = {"worse": "worse_label", "aggregate": "aggre_label", "random1": "random_label1"}
TRAIN, TEST = random_images(40, (32, 32, 3)), random_images(10, (32, 32, 3), seed=1)
PEOPLE = np.random.default_rng(0).integers(0, 10, (40, 3))


def test_labels_for_training_are_people_s(tmp_path):
    more = {name: PEOPLE[:, i] for i, name in enumerate(KINDS.values())}
    store(tmp_path, "cifar10_n", TRAIN, TEST, shape=(32, 32, 3), more=more)
    for column, kind in enumerate(KINDS):
        bundle = data.cifar10(data_dir=tmp_path, label_noise=kind, validation=0.25)
        assert bundle.sizes == {"train": 30, "validation": 10, "test": 10}
        labels = PEOPLE[:30, column]
        assert labels_by_picture(bundle, "train") == {
            image.tobytes(): label for (image, _), label in zip(TRAIN, labels, strict=False)
        }
        assert bundle.noisy_labels == sum(labels != [y for _, y in TRAIN[:30]])
        for split, stored in (("validation", TRAIN[30:]), ("test", TEST)):
            assert labels_by_picture(bundle, split) == {i.tobytes(): y for i, y in stored}


def test_nothing_is_there(tmp_path, monkeypatch):
    def fails(*_):
        raise RuntimeError("No network.")

    monkeypatch.setattr("keras_zsharp.data.reading.prepared", fails)
    message = r"No network. Or pass .*train/CLASS.* with human_labels.csv beside them, as `data_d"
    with pytest.raises(RuntimeError, match=message):
        data.cifar10(data_dir=tmp_path, label_noise="worse")
