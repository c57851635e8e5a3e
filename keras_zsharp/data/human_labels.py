"""What people called the training images of CIFAR-10: CIFAR-10N, Wei et al., ICLR 2022."""

from __future__ import annotations

import csv
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from keras_zsharp.data.source import Source
from keras_zsharp.data.streamed import stored_labels

HumanLabels: TypeAlias = Literal["worse", "aggregate", "random1"]
"""A wrong one of three people's labels where there is one, most people's, or the first person's."""

IN_TFDS = {"worse": "worse_label", "aggregate": "aggre_label", "random1": "random_label1"}
"""Their names in the dataset of tensorflow-datasets."""
TFDS_NAME = "cifar10_n"
FILE = "human_labels.csv"


def check(label_noise: str, noise_draw: str) -> str:
    """`label_noise`, a string, after checking that it names human labels."""
    if label_noise not in IN_TFDS:
        raise ValueError(
            f"`label_noise` must be a share in [0, 1], or one of {', '.join(map(repr, IN_TFDS))}. "
            f"Received: {label_noise=}"
        )
    if noise_draw != "others":
        raise ValueError(
            "`noise_draw` is of a `label_noise` that is a share: people's labels are not drawn. "
            f"Received: {noise_draw=} with {label_noise=}"
        )
    return label_noise


def of_tfds(source: Source, builder: Any, split: str, kind: str) -> Source:
    """The same with people's labels of the training examples, which are a split of `builder`."""
    return _with(source, stored_labels(builder, split, IN_TFDS[kind]), f"{TFDS_NAME}'s {split}")


def of_file(source: Source, path: pathlib.Path, names: Sequence[str], kind: str) -> Source:
    """The same with people's labels of the training examples, which are the pictures `names`.

    The file has a row for each, `file,clean,aggregate,random1,worse`: its name from the folder on,
    the number of its class, and what people said it was.
    """
    file = (path if path.is_dir() else path.parent) / FILE
    if not file.is_file():
        raise FileNotFoundError(
            f'`label_noise="{kind}"` needs {FILE} beside the pictures. There is no {file}'
        )
    rows = _rows(file, kind)
    missing, unknown = set(names) - set(rows), set(rows) - set(names)
    if missing or unknown:
        raise ValueError(
            f"{file} must have a row for each of the {len(names)} pictures to train on. Received: "
            f"{len(rows)} rows, {len(missing)} pictures without a row and {len(unknown)} rows "
            f"without a picture, such as {min(missing or unknown)}"
        )
    clean, labels = np.array([rows[name] for name in names], "int64").T
    train: Any = source.train
    wrong = np.flatnonzero(clean != train.labels)
    if wrong.size:
        name = names[wrong[0]]
        raise ValueError(
            f"{file} must have the number of each picture's folder as `clean`. Received: "
            f"{clean[wrong[0]]} for {name}, not {train.labels[wrong[0]]}, and {wrong.size} "
            "such rows in all"
        )
    return _with(source, labels, f"{file}, {kind},")


def _with(source, labels, place):
    if not 0 <= labels.min() <= labels.max() < source.classes:
        raise ValueError(
            f"{place} must have labels from 0 to {source.classes - 1}. "
            f"Received: {labels.min()} to {labels.max()}"
        )
    return dataclasses.replace(source, shifts=(labels - source.train.labels) % source.classes)


def _rows(file, kind):
    """Pairs of the columns `clean` and `kind` by the picture's name."""
    rows = {}
    with file.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines)
        columns = ("file", "clean", kind)
        lacking = [c for c in columns if c not in (reader.fieldnames or ())]
        if lacking:
            raise ValueError(
                f"{file} must have the columns {', '.join(columns)}. "
                f"Received: {', '.join(reader.fieldnames or ())}, without {', '.join(lacking)}"
            )
        for number, row in enumerate(reader, 2):
            name = row["file"]
            if name in rows:
                raise ValueError(f"{file} must have one row for each picture, not two for {name}")
            try:
                rows[name] = int(row["clean"]), int(row[kind])
            except (TypeError, ValueError):
                raise ValueError(
                    f"{file} must have ints as `clean` and `{kind}`. Received in line {number}: "
                    f"{row['clean']!r} and {row[kind]!r}"
                ) from None
    return rows
