import weakref

import keras

from keras_zsharp.perturbations import state
from keras_zsharp.perturbations.base import Perturbation


class Keeping(Perturbation):
    """Base class of the rules that keep a tensor for each variable: zeros, until they are set.

    They are the list `kept`, and are saved with the model. Memory: one more copy of the weights.

    Args:
        rho, name: See `Perturbation`.
    """

    kept_as, keeps = "average", "averages"
    """What one of them is, by the name of its variable, in files too; and what the rule does."""

    def __init__(self, rho, *, name=None):
        super().__init__(rho, name=name)
        self.kept = []
        self._kept_for = ()

    def build(self, variables):
        if not self.kept:
            self.kept = [self._kept_of(v) for v in variables]
        expected = [tuple(kept.shape) for kept in self.kept]
        received = [tuple(variable.shape) for variable in variables]
        if expected != received:
            raise ValueError(
                f"`variables` must be those that this {type(self).__name__} {self.keeps}, of "
                f"shapes {expected}. Received: shapes {received}"
            )
        self._bind(variables)

    def _bind(self, variables):
        """Checks that each goes on with its variable, and not with another of its shape.

        A file does not know variables: what it has is bound to those that come first.
        """
        known = self._kept_for or (None,) * len(variables)
        others = [v.path for k, v in zip(known, variables, strict=True) if k and k() is not v]
        if others:
            raise ValueError(
                f"`variables` must be those that this {type(self).__name__} {self.keeps}. Make a "
                "new rule where layers have been frozen or unfrozen: "
                f"model.perturbation = {type(self).__name__}(...). Received: others, {others}"
            )
        self._kept_for = tuple(
            weakref.ref(v) if isinstance(v, keras.Variable) else None for v in variables
        )

    def _kept_of(self, variable):
        return self.add_weight(
            name=self.kept_as,
            shape=variable.shape,
            dtype=str(keras.backend.standardize_dtype(variable.dtype)),
            initializer="zeros",
            trainable=False,
            aggregation="mean",
        )

    def load_own_variables(self, store):
        # A model that has not trained yet keeps nothing: the file says what there is.
        if not self.kept:
            self.build(state.saved(self, store)[len(self.variables) :])
        super().load_own_variables(store)
