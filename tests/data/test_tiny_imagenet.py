import io
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from keras_zsharp import data
from keras_zsharp.data.tiny_imagenet_builder import ARCHIVE, TinyImagenet

IDS = [f"n{number:08d}" for number in range(200)]
TRAIN = {"n00000002": 3, "n00000117": 2, "n00000199": 2}
VALIDATION = {"val_0.JPEG": "n00000117", "val_1.JPEG": "n00000000"}


def jpeg(seed, mode="RGB"):
    image = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype="uint8")
    buffer = io.BytesIO()
    Image.fromarray(image).convert(mode).save(buffer, "JPEG")
    return buffer.getvalue()


def write_archive(path):
    """The folders of the real archive, with few images; one of them is gray, as some there are."""
    with zipfile.ZipFile(path, "w") as archive:
        put = lambda name, content: archive.writestr(f"tiny-imagenet-200/{name}", content)  # noqa: E731
        put("wnids.txt", "\n".join(reversed(IDS)) + "\n")
        put("words.txt", "n00000002\tgoldfish\n")
        for wnid, count in TRAIN.items():
            put(f"train/{wnid}/{wnid}_boxes.txt", "")
            for i in range(count):
                put(f"train/{wnid}/images/{wnid}_{i}.JPEG", jpeg(i, "L" if i == 1 else "RGB"))
        lines = [f"{file}\t{wnid}\t0\t0\t62\t62\n" for file, wnid in VALIDATION.items()]
        put("val/val_annotations.txt", "".join(lines))
        for i, file in enumerate(VALIDATION):
            put(f"val/images/{file}", jpeg(100 + i))
        put("test/images/test_0.JPEG", jpeg(200))


class TestTinyImagenet(tfds.testing.DatasetBuilderTestCase):
    """tensorflow-datasets' own checks of a builder, downloading included (mocked)."""

    DATASET_CLASS = TinyImagenet
    SPLITS = {"train": 7, "validation": 2}  # noqa: RUF012
    DL_DOWNLOAD_RESULT = ARCHIVE

    @pytest.fixture(autouse=True, scope="class")
    @staticmethod
    def _archive(tmp_path_factory):
        folder = tmp_path_factory.mktemp("tiny_imagenet")
        TestTinyImagenet.EXAMPLE_DIR = TestTinyImagenet.dummy_data = folder
        write_archive(folder / ARCHIVE)


def test_an_archive_at_hand_is_used(tmp_path):
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    write_archive(manual / ARCHIVE)
    bundle = data.load("tiny_imagenet", augment=None, data_dir=tmp_path)
    assert bundle.sizes == {"train": 7, "test": 2}
    assert (bundle.classes, bundle.input_shape) == (200, (64, 64, 3))
    [(_, labels)] = bundle.train
    assert sorted(labels.numpy()) == [2, 2, 2, 117, 117, 199, 199]
    [(images, labels)] = bundle.test
    by_label = dict(zip(labels.numpy().tolist(), images.numpy(), strict=True))
    assert set(by_label) == {117, 0}
    stored = np.asarray(Image.open(io.BytesIO(jpeg(100))))
    read = by_label[117] * np.array(bundle.std) + np.array(bundle.mean)
    assert np.abs(read - stored).mean() < 2
    labels = tfds.builder("tiny_imagenet", data_dir=tmp_path).info.features["label"]
    assert labels.names == IDS


def test_the_checksum_of_the_real_archive_is_registered():
    [info] = TinyImagenet.url_infos.values()
    assert info.size == 248_100_043
