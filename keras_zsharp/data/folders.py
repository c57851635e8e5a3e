"""Pictures in a folder of their class: `train/CLASS/*.png`, `test/CLASS/*.png`."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import numpy as np

from keras_zsharp.data import pictures
from keras_zsharp.data.source import Source
from keras_zsharp.data.splits import InMemory
from keras_zsharp.typing import Path

TESTS = ("test", "val", "validation")
"""Names of the folder to test on, of which there is one."""
TOPS = ("train", *TESTS)
ARCHIVE = "images.zip"


def find(path: Path) -> pathlib.Path | None:
    """The folder or zip of the pictures that `path` names, if it names one."""
    found = pathlib.Path(path).expanduser()
    if (found / ARCHIVE).is_file() and not (found / "train").is_dir():
        return found / ARCHIVE
    return found if found.suffix.lower() == ".zip" or (found / "train").is_dir() else None


def read(
    argument: str, path: pathlib.Path, image_size: tuple[int, int] | None = None
) -> tuple[Source, list[str]]:
    """The pictures of a folder or a zip, and the names of those to train on.

    Args:
        argument: Name of the argument that `path` comes from, for the messages.
        path: What `find` gives.
        image_size: Height and width to scale pictures to. None leaves them.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"`{argument}` must name a folder or a zip that is there. Received: "
            f"{argument}={str(path)!r}"
        )
    splits = _by_class(argument, path)
    train, test = splits["train"], splits[_test(argument, path, splits)]
    _check_classes(argument, path, train, test)
    classes = tuple(sorted(train))
    names, labels = _in_turn(train, classes)
    test_names, test_labels = _in_turn(test, classes)
    images = pictures.decode(path, [*names, *test_names], image_size)
    split = len(names)
    return Source(
        InMemory(images[:split], labels),
        InMemory(images[split:], test_labels),
        len(classes),
        classes,
    ), names


def _by_class(argument, path):
    """The names of pictures by split and class. A folder without pictures is a class as well."""
    splits = {top: {} for top in TOPS}
    for name in pictures.names(path, TOPS):
        top, *rest = name.split("/")
        is_picture = name.lower().endswith(pictures.SUFFIXES)
        if is_picture and len(rest) != 2:
            raise ValueError(
                f"`{argument}` must have each picture in the folder of its class: "
                f"{top}/CLASS/{rest[-1]}. Received: {name} in {argument}={str(path)!r}"
            )
        if is_picture or rest[1:] == [""]:
            splits[top].setdefault(rest[0], []).extend([name] * is_picture)
    return splits


def _test(argument, path, splits):
    """The name of the folder to test on."""
    there = [top for top in TESTS if splits[top]]
    if not splits["train"] or len(there) != 1:
        endings = ", ".join(pictures.SUFFIXES)
        raise ValueError(
            f"`{argument}` must have pictures ({endings}) in train/CLASS, and in test/CLASS, or in "
            f"val or validation in its place. Received: {argument}={str(path)!r} with pictures in "
            f"{' and '.join(top for top in TOPS if splits[top]) or 'none of them'}"
        )
    return there[0]


def _check_classes(argument, path, train, test):
    empty = sorted(name for name in train if not train[name])
    unknown = sorted(name for name in test if test[name] and name not in train)
    received = f"Received: {argument}={str(path)!r}"
    if empty:
        raise ValueError(
            f"`{argument}` must have a picture to train on of each class, and has none in "
            f"train/{empty[0]}. {received}"
        )
    if unknown:
        raise ValueError(
            f"`{argument}` must have the classes to test on in train as well, and has no "
            f"train/{unknown[0]}. {received}"
        )
    if len(train) < 2 or not any(test.values()):
        raise ValueError(
            f"`{argument}` must have two classes or more in train, and a picture to test on. "
            f"{received} with {len(train)} and {sum(map(len, test.values()))}"
        )


def _in_turn(files: dict[str, list[str]], classes: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Names and labels, in an order of which each part has the classes in equal shares.

    The k-th of n files of a class is at (k - 1/2) / n of the way.
    """
    of_classes = [sorted(files.get(name, ())) for name in classes]
    counts = [len(names) for names in of_classes]
    places = np.concatenate([(np.arange(count) + 0.5) / max(count, 1) for count in counts])
    order = np.argsort(places, kind="stable")
    names = [name for names in of_classes for name in names]
    labels = np.repeat(np.arange(len(classes), dtype="int64"), counts)
    return [names[place] for place in order], labels[order]
