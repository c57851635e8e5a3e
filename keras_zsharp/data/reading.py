"""Where the examples of a dataset of the catalogue come from."""

from __future__ import annotations

import itertools
import pathlib

import numpy as np

from keras_zsharp.data import folders, human_labels, ubyte
from keras_zsharp.data.catalogue import Dataset
from keras_zsharp.data.preparing import prepared
from keras_zsharp.data.source import Source
from keras_zsharp.data.splits import InMemory
from keras_zsharp.data.streamed import Streamed, stored_examples
from keras_zsharp.typing import Path


def read(dataset: Dataset, data_dir: Path | None, human: str | None) -> Source:
    """The examples of a dataset, from files in `data_dir` or from tensorflow-datasets.

    Args:
        dataset: Of the catalogue.
        data_dir: As in `load`.
        human: The kind of human labels, if any.
    """
    if dataset.ubyte and (folder := ubyte.folder(data_dir)):
        train, test = (ubyte.read(folder, split, classes=10) for split in ("train", "test"))
        return Source(train, test, classes=10)
    if dataset.folders and data_dir is not None and (place := folders.find(data_dir)):
        return _of_pictures(dataset, place, human)
    try:
        return _of_tfds(dataset, data_dir, human)
    except (ImportError, RuntimeError) as error:
        if not (or_else := _or_else(dataset, human)):
            raise
        why = str(error).rstrip(".")
        raise type(error)(f"{why}. Or pass {or_else} as `data_dir`.") from error


def _or_else(dataset, human):
    """What `data_dir` may be without tensorflow-datasets."""
    if dataset.ubyte:
        return f"a folder with {', '.join(itertools.chain(*ubyte.FILES.values()))}"
    beside = f", with {human_labels.FILE} beside them," if human else ""
    pictures = "a folder or a zip with pictures in train/CLASS and test/CLASS"
    return pictures + beside if dataset.folders else None


def _of_pictures(dataset: Dataset, place: pathlib.Path, human: str | None) -> Source:
    source, names = folders.read("data_dir", place)
    if source.class_names != dataset.folders or source.train.image_shape != dataset.image_shape:
        height, width, _ = dataset.image_shape
        raise ValueError(
            f"`data_dir` must have color pictures of {height} x {width} pixels in the folders "
            f"{', '.join(dataset.folders)} of train. Pass other pictures to `image_folder`. "
            f"Received: data_dir={str(place)!r} with the shape {source.train.image_shape} in "
            f"{', '.join(source.class_names)}"
        )
    return human_labels.of_file(source, place, names, human) if human else source


def _of_tfds(dataset: Dataset, data_dir: Path | None, human: str | None) -> Source:
    builder = prepared(human_labels.TFDS_NAME if human else dataset.tfds_name, data_dir)
    read = _in_memory if dataset.crop is None else _streamed
    train, test = (read(builder, dataset, split) for split in (dataset.train, dataset.test))
    label = builder.info.features["label"]
    source = Source(train, test, label.num_classes, tuple(label.names))
    return human_labels.of_tfds(source, builder, dataset.train, human) if human else source


def _in_memory(builder, dataset, split):
    batches = stored_examples(builder, split).batch(1024)
    images, labels = zip(*batches.as_numpy_iterator(), strict=True)
    return InMemory(np.concatenate(images), np.concatenate(labels))


def _streamed(builder, dataset, split):
    size = int(stored_examples(builder, split).cardinality())
    return Streamed(builder, split, size, dataset.crop)
