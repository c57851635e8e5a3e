from __future__ import annotations

import warnings
from collections.abc import Iterable

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_zsharp import outside
from keras_zsharp.backend import room
from keras_zsharp.flatness import batches as of_data
from keras_zsharp.flatness.averages import Averages
from keras_zsharp.flatness.checks import check_model
from keras_zsharp.keras_internals import calling, tracking
from keras_zsharp.typing import Data


class MeanLoss:
    """The loss L(w + e) of a model over data, its gradient and its Hessian, for the measures.

    `L(w) = 1/N sum_b n_b L_b(w)`, where `L_b` is the loss of batch b of n_b examples as `evaluate`
    computes it: with regularizers and `add_loss`, without dropout, and with BatchNormalization's
    statistics fixed. Where the compiled loss is a mean over examples, Keras' default, L is the loss
    over all examples, whatever the size of the batches.

    The weights w are all trainable variables. They do not change: the loss at w + e is computed
    beside them. No state of the model, its metrics, its seeds or its optimizer changes. A model
    that is not built is built. Batches are read one after the other.

    Each measure makes a `MeanLoss` of its arguments `model`, `data`, `batch_size` and `batches`.
    Several measures can share one: give it as their `data`. The model is then traced once, even
    where training goes on in between. Make a new one after `compile`, or after freezing layers.

    Args:
        model: A compiled `keras.Model`, sharpness-aware or not.
        data: A `tf.data.Dataset` of batches `(x, y)` or `(x, y, sample_weight)`, or such a tuple of
            (nested) arrays. Or whatever else `fit` takes as `x`: a `keras.utils.PyDataset`, a
            PyTorch `DataLoader`, a generator of batches, arrays of inputs alone. It is read once
            for each evaluation, and must hold the same examples every time: `dataset.cache()`
            keeps one draw of augmented data. A generator must have an end, or `batches`; it is read
            once, and its batches stay in memory.
        batch_size: Examples in a batch of arrays: int >= 1.
        batches: Number of batches to read, the first ones: int >= 1. None reads all.

    Attributes:
        model: The model.
        variables: The trainable variables.
        size: The number of weights. Vectors have the shape (size,).

    Raises:
        TypeError: `model` is no Keras model, or `data` is nothing that `fit` takes.
        ValueError: `model` is not compiled or has no trainable weights; `data` is empty, not
            batched, or infinite without `batches`; `batch_size` or `batches` is no int >= 1.
    """

    model: keras.Model
    variables: list[keras.Variable]
    size: int

    def __init__(
        self,
        model: keras.Model,
        data: Data,
        batch_size: int = 32,
        batches: int | None = None,
    ) -> None:
        check_model(model)
        self.model = model
        examples = of_data.finite(data, batch_size, batches)
        batch = of_data.unpacked(examples.structure, examples.specs)
        if batch[1] is None and model.loss is not None:
            raise TypeError(
                "`data` must be a tf.data.Dataset of batches (x, y) or (x, y, sample_weight), a "
                "tuple of arrays, or else what `fit` takes, with targets for the compiled loss. "
                f"Received: inputs alone, data of type {type(data)}"
            )
        if not tracking.is_built(model):
            calling.build(model, batch[0])
        with outside.put_back(model):
            calling.build_loss(model, *batch)
        self.variables = tracking.trained(model)
        if not self.variables:
            raise ValueError(f"`model` must have trainable weights. Received: {model.name!r}")
        of_batch = room("batch_loss").BatchLoss(model, examples.structure, examples.specs)
        self.size = of_batch.size
        self._averages = Averages(
            examples, of_batch, lambda: float(model.optimizer.scale_loss(1.0))
        )
        self._product = "product"

    def loss(self, shift: ArrayLike) -> float:
        """L(w + shift).

        Args:
            shift: Vector of shape (size,).
        """
        [loss] = self._averages.of("loss", shift)
        return float(loss)

    def gradient(self, shift: ArrayLike) -> tuple[float, np.ndarray]:
        """L(w + shift) and its gradient.

        Args:
            shift: Vector of shape (size,).

        Returns:
            A float, and a float64 vector of shape (size,).
        """
        loss, gradient = self._averages.finite("gradient", shift)
        return float(loss), gradient

    def product(self, vector: ArrayLike) -> np.ndarray:
        """H v: the Hessian of L at w times a vector v.

        `H v = d(g · v) / dw`, with the gradient g. Where an operation has no second derivative, H v
        is the central difference `(g(w + h v) - g(w - h v)) / 2h` with `h = 0.01 / ‖v‖`, and a
        warning tells so. cuDNN's LSTM is such an operation: build the layer with `use_cudnn=False`.

        Args:
            vector: Vector of shape (size,).

        Returns:
            A float64 vector of shape (size,).

        Raises:
            FloatingPointError: H v is not finite.
        """
        try:
            [product] = self._averages.finite(self._product, vector)
        except LookupError as error:
            warnings.warn(
                f"The Hessian is that of central differences: {error}", RuntimeWarning, stacklevel=2
            )
            self._product = "differences"
            [product] = self._averages.finite(self._product, vector)
        if not np.isfinite(product).all():
            raise FloatingPointError(
                f"The Hessian is not finite at the weights of {self.model.name!r}."
            )
        return product

    def flat(self, tensors: Iterable[ArrayLike]) -> np.ndarray:
        """One float64 vector of shape (size,).

        Args:
            tensors: Arrays shaped like the variables.
        """
        return np.concatenate([np.asarray(t, "float64").ravel() for t in tensors])

    def shaped(self, vector: np.ndarray) -> list[np.ndarray]:
        """Arrays shaped like the variables.

        Args:
            vector: Vector of shape (size,).
        """
        ends = np.cumsum([int(np.prod(v.shape)) for v in self.variables])
        slices = np.split(vector, ends[:-1])
        return [flat.reshape(v.shape) for flat, v in zip(slices, self.variables, strict=True)]


def mean_loss(
    model: keras.Model, data: Data | MeanLoss, batch_size: int, batches: int | None
) -> MeanLoss:
    """The `MeanLoss` of a measure's arguments."""
    if not isinstance(data, MeanLoss):
        return MeanLoss(model, data, batch_size, batches)
    if data.model is not model:
        raise ValueError(
            "`data` must be a MeanLoss of `model`. "
            f"Received: one of {data.model.name!r}, and {model.name!r}"
        )
    return data
