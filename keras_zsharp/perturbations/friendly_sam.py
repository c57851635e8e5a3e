import weakref

import keras
from keras import ops

from keras_zsharp.checks import number, positive_eta
from keras_zsharp.perturbations import state
from keras_zsharp.perturbations.base import Perturbation
from keras_zsharp.perturbations.operators import each, to_adaptive_radius, to_radius


@keras.saving.register_keras_serializable("keras_zsharp")
class FriendlySAM(Perturbation):
    """Friendly-SAM: perturbs along what the batch's gradient has beyond its running average.

    `e(w) = rho d / (‖d‖₂ + 1e-8)` with `d = g - sigma m`, after `m <- lmbda m + (1 - lmbda) g`.
    `m` starts at 0 and estimates the full gradient; it is saved with the model. Memory: one more
    copy of the trainable weights.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        lmbda: Decay of the average, in [0, 1). The paper uses 0.6, 0.9 and 0.95.
        sigma: How much of the average is taken off. 0 is SAM, the paper uses 1.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Li et al., "Friendly Sharpness-Aware Minimization", CVPR 2024, Algorithm 1.
    """

    def __init__(self, rho=0.05, lmbda=0.9, sigma=1.0, *, name=None):
        super().__init__(rho, name=name)
        self.lmbda = number("lmbda", lmbda, "in [0, 1)", lambda lmbda: 0 <= lmbda < 1)
        self.sigma = number("sigma", sigma)
        self.averages = []
        self._averaged = ()

    def build(self, variables):
        if not self.averages:
            self.averages = [self._average_of(v) for v in variables]
        expected = [tuple(average.shape) for average in self.averages]
        received = [tuple(variable.shape) for variable in variables]
        if expected != received:
            raise ValueError(
                f"`variables` must be those that this {type(self).__name__} averages, of shapes "
                f"{expected}. Received: shapes {received}"
            )
        self._bind(variables)

    def _bind(self, variables):
        """Checks that every average goes on with its variable, and not with another of its shape.

        A file does not know variables: what it has is bound to those that come first.
        """
        known = self._averaged or (None,) * len(variables)
        others = [v.path for k, v in zip(known, variables, strict=True) if k and k() is not v]
        if others:
            raise ValueError(
                f"`variables` must be those that this {type(self).__name__} averages. Make a new "
                "rule where layers have been frozen or unfrozen: "
                f"model.perturbation = {type(self).__name__}(...). Received: others, {others}"
            )
        self._averaged = tuple(
            weakref.ref(v) if isinstance(v, keras.Variable) else None for v in variables
        )

    def _average_of(self, variable):
        return self.add_weight(
            name="average",
            shape=variable.shape,
            dtype=str(keras.backend.standardize_dtype(variable.dtype)),
            initializer="zeros",
            trainable=False,
            aggregation="mean",
        )

    def call(self, gradients, variables, rho):
        return to_radius(self._beyond_average(gradients), rho)

    def _beyond_average(self, gradients):
        """`d = g - sigma m`, after bringing m up to date."""

        def update(gradient, average):
            updated = self.lmbda * average + (1 - self.lmbda) * ops.cast(gradient, average.dtype)
            average.assign(updated)
            return gradient - self.sigma * ops.cast(updated, gradient.dtype)

        return each(update, gradients, self.averages)

    def load_own_variables(self, store):
        # A model that has not trained yet has no averages: the file says which there are.
        if not self.averages:
            self.build(state.saved(self, store)[len(self.variables) :])
        super().load_own_variables(store)

    def get_config(self):
        return {**super().get_config(), "lmbda": self.lmbda, "sigma": self.sigma}


@keras.saving.register_keras_serializable("keras_zsharp")
class AdaptiveFriendlySAM(FriendlySAM):
    """F-ASAM: Friendly-SAM's direction with ASAM's adaptive radius.

    `e(w) = rho T² d / (‖T d‖₂ + 1e-8)` with Friendly-SAM's `d` and ASAM's `T`.

    Args:
        rho: Perturbation radius, >= 0: a number or a `LearningRateSchedule`.
        lmbda: Decay of the average, in [0, 1).
        sigma: How much of the average is taken off. 0 is ASAM.
        eta: What is added to each weight's size, > 0.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Li et al., "Friendly Sharpness-Aware Minimization", CVPR 2024, Table 3.
    """

    def __init__(self, rho=0.5, lmbda=0.9, sigma=1.0, eta=0.01, *, name=None):
        super().__init__(rho, lmbda, sigma, name=name)
        self.eta = positive_eta(eta)

    def call(self, gradients, variables, rho):
        return to_adaptive_radius(self._beyond_average(gradients), variables, rho, self.eta)

    def get_config(self):
        return {**super().get_config(), "eta": self.eta}
