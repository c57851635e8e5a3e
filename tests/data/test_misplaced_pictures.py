"""Folders and zips of pictures that cannot be read: errors say what and where."""

import shutil
import sys

import numpy as np
import pytest

from keras_zsharp import data
from tests.data.painted import paint, zipped


def move(source, target):
    return lambda folder: shutil.move(folder / source, folder / target)


MISPLACED = {
    "no test": (
        lambda f: shutil.rmtree(f / "test"),
        "train/CLASS, and in test/CLASS.* in train$",
    ),
    "no train": (
        lambda f: shutil.rmtree(f / "train"),
        "`folder` must be a folder with train/CLASS",
    ),
    "two tests": (
        lambda f: shutil.copytree(f / "test", f / "val"),
        "in its place. Received: .* in train and test and val$",
    ),
    "no class": (
        move("train/ant/00.png", "train/00.png"),
        "train/CLASS/00.png. Received: train/",
    ),
    "too deep": (
        lambda f: paint(f / "test/ant/more/1.png", np.zeros((6, 5), "uint8")),
        "test/CLASS/1.png. Received: test/ant/more/1.png",
    ),
    "an empty class": (lambda f: (f / "train/dog").mkdir(), "has none in train/dog"),
    "a new class": (
        lambda f: shutil.copytree(f / "test/ant", f / "test/elk"),
        "has no train/elk",
    ),
    "nothing to test on": (
        lambda f: [file.unlink() for file in f.glob("test/*/*")],
        "a picture to test on. .* with 3 and 0",
    ),
    "one class": (
        lambda f: (
            [shutil.rmtree(f / "train" / c) for c in ("ant", "bee")]
            + [shutil.rmtree(f / "test" / c) for c in ("ant", "bee")]
        ),
        "two classes or more in train.* with 1 and 2",
    ),
    "16 bits": (
        lambda f: paint(f / "test/ant/00.png", np.zeros((6, 5), "uint16")),
        "8 bits for each channel.*test/ant/00.png",
    ),
}


@pytest.mark.parametrize(("change", "message"), MISPLACED.values(), ids=MISPLACED)
def test_pictures_that_lie_elsewhere(folder, change, message):
    change(folder)
    with pytest.raises(ValueError, match=message):
        data.image_folder(folder)


def test_what_is_not_there(folder):
    with pytest.raises(ValueError, match="`folder` must be a folder with train/CLASS"):
        data.image_folder(folder / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"`folder` must name .*nowhere.zip"):
        data.image_folder(folder / "nowhere.zip")


@pytest.mark.parametrize("damage", [lambda b: b[:60], lambda b: b"junk", lambda b: b""])
def test_damaged_pictures_are_named(folder, tmp_path, damage):
    file = folder / "train" / "cat" / "03.png"
    file.write_bytes(damage(file.read_bytes()))
    for path in (folder, zipped(folder, tmp_path / "a.zip")):
        with pytest.raises(RuntimeError, match=rf"train/cat/03.png of {path} is damaged .*again.$"):
            data.image_folder(path)


def test_damaged_zips_are_named(folder, tmp_path):
    file = zipped(folder, tmp_path / "a.zip")
    content = bytearray(file.read_bytes())
    file.write_bytes(content[:-30])
    with pytest.raises(RuntimeError, match=r"a.zip is not a whole zip .*again.$"):
        data.image_folder(file)
    place = content.index(b"train/ant/05.png") + 60  # Within the picture.
    content[place] ^= 255
    file.write_bytes(content)
    with pytest.raises(RuntimeError, match=r"train/ant/05.png of .*a.zip is damaged .*CRC"):
        data.image_folder(file)


def test_without_pillow(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"with Pillow: pip install 'keras-zsharp\[images\]'"):
        data.image_folder(folder)
