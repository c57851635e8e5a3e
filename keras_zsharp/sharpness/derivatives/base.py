import itertools
import math

import keras
from keras import ops

from keras_zsharp import keras_internals

STEP = 1e-2
"""Length of the step of central differences: gradients in float32 have 7 digits."""


class BatchLoss:
    """The loss of a batch as a function of a float32 vector that stands for all weights.

    A backend adds `loss`, `gradient` and `product`. These and `differences` take a vector of shape
    (size,), the scale of the loss while it is differentiated (a float: float16 loses small
    gradients, and large ones overflow) and the list of the arrays of a batch. They give a tuple of
    what is not scaled: the loss at w + vector; that and its gradient; the Hessian at w times the
    vector. Where the latter needs a derivative that there is not, `product` raises a LookupError.

    Args:
        model: A compiled and built `keras.Model`.
        structure: Structure into which the arrays of a batch pack.
        specs: What the arrays of a batch look like, in order.
    """

    def __init__(self, model, structure, specs):
        self.model, self.variables = model, keras_internals.trained(model)
        self._structure, self._specs = structure, specs
        ends = [0, *itertools.accumulate(math.prod(v.shape) for v in self.variables)]
        self._bounds = list(itertools.pairwise(ends))
        self.size = ends[-1]

    def differences(self, vector, scale, batch):
        """What `product` gives, by central differences of the gradient."""
        h = STEP / ops.maximum(ops.norm(vector), 1e-30)
        _, ahead = self.gradient(h * vector, scale, batch)
        _, behind = self.gradient(-h * vector, scale, batch)
        return ((ahead - behind) / (2 * h),)

    def _evaluated(self, batch):
        """The loss of a batch, in the scope that the backend has opened."""
        batch = keras.tree.pack_sequence_as(self._structure, batch)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        loss = keras_internals.evaluation_loss(self.model, x, y, sample_weight)
        return ops.cast(keras_internals.unscale_loss(loss), "float32")

    def _shifted(self, weights, vector):
        """`weights` and what belongs to each of them in a vector, added up."""
        return [w + e for w, e in zip(weights, self._split(vector), strict=True)]

    def _split(self, vector):
        """Tensors like the weights, in their dtypes."""
        return [
            ops.cast(ops.reshape(vector[begin:end], v.shape), v.dtype)
            for (begin, end), v in zip(self._bounds, self.variables, strict=True)
        ]


def joined(tensors):
    """One float32 vector."""
    return ops.concatenate([ops.reshape(ops.cast(t, "float32"), [-1]) for t in tensors])
