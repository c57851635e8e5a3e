import weakref

import keras
from keras import ops

from keras_zsharp import keras_internals
from keras_zsharp.checks import radius
from keras_zsharp.perturbations import state
from keras_zsharp.perturbations.hyperparameter import Hyperparameter
from keras_zsharp.perturbations.operators import each, widened
from keras_zsharp.tracing import as_written


class Perturbation(keras.layers.Layer):
    """Base class of the rules: maps the gradients at w to the perturbation e(w).

    A rule knows no model, no optimizer and no backend. It is a Keras layer only so that its state
    (`rho`, and averages where a rule keeps any) is tracked, saved and loaded with the model that
    owns it.

    To write a rule, implement `call(gradients, variables, rho)`, where `rho` is this step's radius
    as a scalar tensor, and `get_config()` if the constructor takes more than `rho`. A rule with
    memory creates it in `build(variables)` with `add_weight(..., trainable=False,
    aggregation="mean")` and assigns it in `call`. One that changes the second gradients, too,
    overrides `descent(gradients, shifted_gradients)`, and `plain_descent(gradients)` for plain
    steps. One that chooses the steps in which it perturbs overrides `perturbs()`.

    Args:
        rho: Perturbation radius. A number >= 0, or a
            `keras.optimizers.schedules.LearningRateSchedule` of the number of steps so far, plain
            ones too. A number can be set at any time, also while training: `rule.rho = 0.1`.
        name: Name of the rule.

    Raises:
        TypeError, ValueError: `rho` is no number, or is negative, NaN or infinite.

    Example:

    >>> import numpy as np
    >>> import keras_zsharp
    >>> rule = keras_zsharp.SAM(rho=0.1)
    >>> gradient, weight = np.array([3.0, 4.0], "float32"), np.zeros(2, "float32")
    >>> [epsilon] = rule([gradient], [weight])
    >>> print(np.round(epsilon, 6))
    [0.06 0.08]
    """

    rho = Hyperparameter(radius)

    along_momentum = False
    """Whether `call` is given the optimizer's momentum, before the only pass of a step."""

    def __init__(self, rho, *, name=None):
        super().__init__(name=name)
        # Keras wraps `build` to record input shapes. A rule is built from variables instead.
        keras_internals.built_otherwise(self)
        self.built = True
        self._owner = None
        self._count = None
        self.rho = rho

    def add_scalar(self, name, value, dtype):
        """Adds a number to the rule's state: of 32 bits on JAX, which has nothing wider."""
        if keras.backend.backend() == "jax":
            dtype = dtype.replace("64", "32")
        return self.add_weight(
            name=name,
            shape=(),
            dtype=dtype,
            # Keras' Constant rounds to float32.
            initializer=lambda shape, dtype: ops.convert_to_tensor(value, dtype),
            trainable=False,
            aggregation="only_first_replica",
        )

    def _model(self):
        """The model that the rule belongs to, if any; as an attribute, Keras would save it too."""
        return self._owner and self._owner()

    def sync(self):
        """Has the rule's variables hold its state, also while its model trains."""
        if (model := self._model()) is not None:
            keras_internals.synced(model)

    def changed(self):
        """Tells the model whose rule this is that its numbers may be others."""
        if (model := self._model()) is not None:
            model.rule_has_changed()

    def count(self):
        """The number of steps so far, plain ones too; from the first call on they are counted."""
        if self._count is None:
            self._count = self.add_scalar("count", 0, "int64")
        return self._count

    def count_this_step(self):
        """Counts it, where steps are counted: all that a plain step means to the rule."""
        if self._count is not None:
            self._count.assign(self._count + 1)

    def perturbs(self):
        """Whether this step's perturbation may be other than zero: a boolean scalar tensor.

        If not, the step is a plain one: it takes one pass.
        """
        return ops.not_equal(type(self).rho.tensor(self), 0)

    def settled(self):
        """Whether `perturbs` is true, and stays so unless a number is set."""
        self.sync()
        return self._count is None and bool(self.perturbs())

    def belong_to(self, model):
        """Binds the rule to the one model whose gradients it sees: two would mix their state."""
        self.check_free_for(model)
        self._owner = weakref.ref(model)

    def check_free_for(self, model):
        """A rule that belongs to another model is refused."""
        owner = self._model()
        if owner not in (None, model):
            raise ValueError(
                f"`perturbation` must not belong to another model: {self.name!r} belongs to "
                f"{owner.name!r}. Make a new one: "
                f"{type(self).__name__}.from_config(rule.get_config())"
            )

    def leave(self):
        """Sets the rule free for another model."""
        self._owner = None

    def build(self, variables):
        """Creates the rule's state for `variables` (anything with shape and dtype), if any."""

    @as_written
    def __call__(self, gradients, variables):
        """The perturbation e(w).

        Args:
            gradients: List of dense gradients at w, None where the loss does not depend on w.
            variables: List of the trainable variables, one per gradient.

        Returns:
            List of tensors with the gradients' shapes and dtypes, None for None and for variables
            that Keras overwrites with their gradient (float8 scales): those are no weights.
        """
        gradients, variables = list(gradients), list(variables)
        if len(gradients) != len(variables):
            raise ValueError(
                "`gradients` and `variables` must have the same length. "
                f"Received: {len(gradients)} gradients and {len(variables)} variables"
            )
        self.build(variables)
        gradients = [
            None if g is None or keras_internals.is_overwritten(v) else g
            for g, v in zip(gradients, variables, strict=True)
        ]
        rho = type(self).rho.tensor(self)
        epsilons = self._checked(self.call(each(widened, gradients), variables, rho), gradients)
        self.count_this_step()
        return each(lambda e, g: ops.cast(e, g.dtype), epsilons, gradients)

    def _checked(self, epsilons, gradients):
        """What `call` returned, if it is a perturbation."""
        epsilons = list(epsilons)
        received, expected = (
            [None if t is None else tuple(t.shape) for t in tensors]
            for tensors in (epsilons, gradients)
        )
        if received != expected:
            raise ValueError(
                f"`call` of {type(self).__name__} must return a list with a tensor of its shape "
                f"for each gradient, and None for None: {expected}. Received: {received}"
            )
        return epsilons

    def descent(self, gradients, shifted_gradients):
        """What the optimizer is given: the gradients at w + e(w), unless a rule overrides this.

        It may assign the rule's state.

        Args:
            gradients: List of dense gradients at w, scaled as those at w + e(w) are: the result
                must be homogeneous in both.
            shifted_gradients: List of dense gradients at w + e(w). Where either is None, so is the
                other.

        Returns:
            List of tensors with the gradients' shapes.
        """
        return shifted_gradients

    def plain_descent(self, gradients):
        """What the optimizer is given in a plain step: the gradients, unless a rule overrides this.

        Args:
            gradients: As those of `descent`.

        Returns:
            List of tensors with the gradients' shapes.
        """
        return gradients

    def save_own_variables(self, store):
        state.save(self, store)
        if (model := self._model()) is not None:
            model.save_seeds(store)

    def load_own_variables(self, store):
        state.load(self, store)
        self.changed()
        if (model := self._model()) is not None:
            model.load_seeds(store)

    def get_config(self):
        return {"name": self.name, "rho": type(self).rho.to_config(self)}

    @classmethod
    def from_config(cls, config):
        hyperparameters = {
            name: Hyperparameter.from_config(value)
            for name, value in config.items()
            if isinstance(getattr(cls, name, None), Hyperparameter)
        }
        return cls(**{**config, **hyperparameters})
