import io
import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from keras_zsharp import data
from keras_zsharp.data.tiny_imagenet_builder import ARCHIVE, TinyImagenet

ROOT = pathlib.Path(__file__).parents[2]
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


def damaged_jpeg():
    return jpeg(0)[:-600]


def wrong_size():
    buffer = io.BytesIO()
    Image.new("RGB", (32, 64)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (damaged_jpeg, "jpeg::Uncompress failed. Invalid JPEG data or crop window"),
        (lambda: b"no picture", "Unknown image file format"),
        (lambda: b"", "Input is empty"),
        (wrong_size, r"it has the shape \(64, 32, 3\), not \(64, 64, 3\)"),
        (None, "Bad CRC-32 for file"),
    ],
)
def test_a_damaged_picture_is_named_when_it_is_prepared(content, why, tmp_path):
    path = tmp_path / "downloads" / "manual" / ARCHIVE
    path.parent.mkdir(parents=True)
    write_archive(path)
    name = "tiny-imagenet-200/train/n00000117/images/n00000117_9.JPEG"
    whole = path.read_bytes()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"0123456789" if content is None else content())
    if content is None:
        path.write_bytes(path.read_bytes().replace(b"0123456789", b"012345678x"))
    for _ in range(2):
        with pytest.raises(RuntimeError, match=f"the picture {name} of {path} is damaged .{why}"):
            data.load("tiny_imagenet", data_dir=tmp_path)
    assert not list(tmp_path.glob("tiny_imagenet/**/*.tfrecord*"))
    path.write_bytes(whole)
    assert data.load("tiny_imagenet", data_dir=tmp_path).sizes == {"train": 7, "test": 2}


@pytest.mark.slow
def test_of_two_processes_one_prepares_and_the_other_waits(tmp_path):
    path = tmp_path / "downloads" / "manual" / ARCHIVE
    path.parent.mkdir(parents=True)
    write_archive(path)
    load = (
        "import sys, tensorflow_datasets; from keras_zsharp import data; "
        "print('ready', flush=True); input(); "
        "print(data.load('tiny_imagenet', data_dir=sys.argv[1]).sizes)"
    )
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    processes = [
        subprocess.Popen([sys.executable, "-c", load, tmp_path], text=True, cwd=ROOT, **pipes)
        for _ in range(2)
    ]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    prepared = 0
    for process in processes:
        printed, errors = process.communicate(timeout=120)
        assert printed.endswith("{'train': 7, 'test': 2}\n"), errors
        prepared += "Downloading and preparing" in printed
    assert prepared == 1


def test_the_checksum_of_the_real_archive_is_registered():
    [info] = TinyImagenet.url_infos.values()
    assert info.size == 248_100_043
