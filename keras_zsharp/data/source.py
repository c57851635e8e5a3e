"""What is read of a dataset before anything is held out, noisy or batched."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_zsharp.data import pipeline
from keras_zsharp.data.bundle import DatasetBundle
from keras_zsharp.data.catalogue import Dataset
from keras_zsharp.data.options import Options
from keras_zsharp.data.streamed import Split


@dataclasses.dataclass(frozen=True)
class Source:
    """The examples of a dataset.

    Attributes:
        train: To train on.
        test: To test on.
        classes: Number of classes.
        class_names: Their names in the order of the labels, where they are known.
        shifts: What people's mistakes add to each training label, modulo `classes`. None where
            nobody was asked.
    """

    train: Split
    test: Split
    classes: int
    class_names: tuple[str, ...] = ()
    shifts: np.ndarray | None = None

    def first(self, train_size: int | None) -> Source:
        """The same with the first training examples only. None takes all."""
        size = self.train.size
        if train_size is None or train_size == size:
            return self
        if train_size > size:
            raise ValueError(
                f"`train_size` must be at most {size}, the number of training examples. "
                f"Received: train_size={train_size}"
            )
        return dataclasses.replace(self, train=self.train.hold_out(size - train_size)[0])

    def bundle(self, dataset: Dataset, options: Options) -> DatasetBundle:
        """The bundle of these examples."""
        bundle = pipeline.build(
            dataset, self.train, self.test, self.classes, options, shifts=self.shifts
        )
        bundle = dataclasses.replace(bundle, class_names=self.class_names)
        for split in bundle.pipelines:
            getattr(bundle, split)  # It is made here, so that its errors come from here.
        return bundle
