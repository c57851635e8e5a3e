import collections
import warnings

import keras
import numpy as np

from keras_zsharp import keras_internals
from keras_zsharp.sharpness import batches as of_data
from keras_zsharp.sharpness import derivatives


class MeanLoss:
    """The loss L(w + e) of a model over data, its gradient and its Hessian, for the measures.

    `L(w) = 1/N sum_b n_b L_b(w)`, where `L_b` is the loss of batch b of n_b examples as `evaluate`
    computes it, with regularizers and `add_loss`, without dropout and with BatchNormalization's
    statistics fixed. That is the loss over all examples, whatever the size of the batches, where
    the compiled loss is a mean over examples, Keras' default.

    The weights w are all trainable variables. They never leave their place: what is measured at
    w + e is computed beside them, and no state of the model, its metrics, its seeds or its
    optimizer changes. Only an unbuilt model is built. Batches are read one after the other.

    Each measure makes one of its arguments `model`, `data`, `batch_size` and `batches`. Several can
    share one instead, given as their `data`: the model is then not traced anew, also after training
    went on. After `compile`, or after freezing layers, make another.

    Args:
        model: A compiled `keras.Model`, sharpness-aware or not.
        data: What every measure takes: a `tf.data.Dataset` of batches `(x, y)` or
            `(x, y, sample_weight)`, or such a tuple of (nested) arrays. It is read once per
            evaluation and must hold the same examples every time: of augmented data,
            `dataset.cache()` keeps one draw.
        batch_size: int >= 1, for arrays: examples per batch.
        batches: int >= 1: only the first so many batches, or None: all.

    Attributes:
        variables: The trainable variables.
        size: int, the number of weights. Vectors below are of shape (size,).

    Raises:
        TypeError: `model` is no Keras model, or `data` neither dataset nor tuple.
        ValueError: `model` is not compiled or has no trainable weights; `data` is empty, not
            batched, or infinite without `batches`; `batch_size` or `batches` is no int >= 1.
    """

    def __init__(self, model, data, batch_size=32, batches=None):
        _check(model)
        self.model = model
        self._batches = of_data.finite(data, batch_size, batches)
        structure, specs = self._batches.structure, self._batches.specs
        batch = of_data.unpacked(structure, specs)
        if not keras_internals.is_built(model):
            keras_internals.build(model, batch[0])
        keras_internals.build_loss(model, *batch)
        self.variables = keras_internals.trained(model)
        if not self.variables:
            raise ValueError(f"`model` must have trainable weights. Received: {model.name!r}")
        self._of_batch = derivatives.of_batch(model, structure, specs)
        self._product = "product"
        # By function, each of which overflows at another one.
        self._scales = collections.defaultdict(lambda: float(model.optimizer.scale_loss(1.0)))
        self.size = self._of_batch.size

    def loss(self, shift):
        """L(w + shift), a float."""
        [loss] = self._mean("loss", shift)
        return float(loss)

    def gradient(self, shift):
        """L(w + shift), a float, and its gradient there, a float64 vector."""
        loss, gradient = self._unscaled("gradient", shift)
        return float(loss), gradient

    def product(self, vector):
        """H v: the Hessian of L at w times `vector`, a float64 vector.

        By differentiating the gradient's product with v. Where an operation has no second
        derivative (cuDNN's LSTM: build the layer with `use_cudnn=False`), by central differences
        `(g(w + h v) - g(w - h v)) / 2h` with `h = 0.01 / ‖v‖`, and a warning.

        Raises:
            FloatingPointError: It is not finite.
        """
        try:
            [product] = self._unscaled(self._product, vector)
        except LookupError as error:
            warnings.warn(
                f"The Hessian is that of central differences: {error}", RuntimeWarning, stacklevel=2
            )
            self._product = "differences"
            [product] = self._unscaled(self._product, vector)
        if not np.isfinite(product).all():
            raise FloatingPointError(
                f"The Hessian is not finite at the weights of {self.model.name!r}."
            )
        return product

    def flat(self, tensors):
        """One float64 vector of `tensors`, which are shaped like the variables."""
        return np.concatenate([np.asarray(t, "float64").ravel() for t in tensors])

    def shaped(self, vector):
        """The vector as a list of arrays shaped like the variables."""
        ends = np.cumsum([int(np.prod(v.shape)) for v in self.variables])
        parts = np.split(vector, ends[:-1])
        return [part.reshape(v.shape) for part, v in zip(parts, self.variables, strict=True)]

    def _unscaled(self, name, vector):
        """As `_mean`; where float16 overflows, with a smaller scale of the loss from then on."""
        while True:
            values = self._mean(name, vector)
            if np.isfinite(values[-1]).all() or self._scales[name] <= 1:
                return values
            self._scales[name] /= 16

    def _mean(self, name, vector):
        """The mean over the examples of what a function of a batch gives, in float64."""
        function, scale = getattr(self._of_batch, name), np.float32(self._scales[name])
        vector, totals, count = np.asarray(vector, "float32"), 0.0, 0
        for batch in self._batches:
            size = batch[0].shape[0]
            values = [keras.ops.convert_to_numpy(v) for v in function(vector, scale, batch)]
            values = [size * value.astype("float64") for value in values]
            totals = values if count == 0 else [t + v for t, v in zip(totals, values, strict=True)]
            count += size
        if count == 0:
            raise ValueError("`data` must hold at least one example. Received: none")
        return [total / count for total in totals]


def mean_loss(model, data, batch_size, batches):
    """The `MeanLoss` of a measure's arguments."""
    if not isinstance(data, MeanLoss):
        return MeanLoss(model, data, batch_size, batches)
    if data.model is not model:
        raise ValueError(
            "`data` must be a MeanLoss of `model`. "
            f"Received: one of {data.model.name!r}, and {model.name!r}"
        )
    return data


def _check(model):
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` must be a keras.Model. Received: model={model!r}")
    if not model.compiled:
        raise ValueError(
            f"`model` must be compiled with a loss. Received: {model.name!r}, which is not compiled"
        )
