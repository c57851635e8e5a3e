from __future__ import annotations

from typing import Any, Literal

from keras import ops

from keras_zsharp.checks import arguments_of, one_of, radius
from keras_zsharp.keras_internals import optimizers, tracking
from keras_zsharp.ops import as_written, each, is_traced, of_dtype, of_the_device
from keras_zsharp.rules import state, steps
from keras_zsharp.rules.hyperparameter import Hyperparameter
from keras_zsharp.rules.operators import widened
from keras_zsharp.rules.owned import OwnedByAModel
from keras_zsharp.rules.written import written
from keras_zsharp.typing import (
    Config,
    FloatOrSchedule,
    FloatTensor,
    Gradients,
    Tensor,
    Variables,
)


class Rule(OwnedByAModel):
    """Base class of the rules: maps the gradients at w to the perturbation e(w).

    A rule knows no model, no optimizer and no backend. It is a Keras layer, so that Keras tracks,
    saves and loads its state (`rho`, and averages if a rule keeps any) with the model that owns it.

    To write a rule, implement `call`, and `get_config` if the constructor takes more than `rho`.

    - A rule with memory creates it in `build` with `add_weight(..., trainable=False,
      aggregation="mean")`, and assigns it in `call`.
    - A rule that changes the second gradients overrides `descent`, and `plain_descent` for plain
      steps.
    - A rule that chooses the steps in which it perturbs overrides `perturbs(step)`. Whichever of
      these methods has an argument `step` gets the number of steps that the optimizer has taken, a
      scalar tensor. A rule counts nothing itself.

    Args:
        rho: Perturbation radius: a number >= 0, or a
            `keras.optimizers.schedules.LearningRateSchedule` of `optimizer.iterations`, whenever
            the rule came to the model. A number can be set at any time, also while training:
            `rule.rho = 0.1`.
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

    rho: Hyperparameter = Hyperparameter(radius)

    reads: Literal["gradients", "momentum", "weights"] = "gradients"
    """What `call` gets as `gradients`: those at w, the optimizer's momentum, or the weights w.

    Only gradients need a pass at w. With the others a step takes one pass, at w + e(w).
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Rule:
        arguments_of(cls, kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, rho: FloatOrSchedule, *, name: str | None = None) -> None:
        super().__init__(name=name)
        # Keras wraps `build` to record input shapes. A rule is built from variables instead.
        tracking.built_otherwise(self)
        one_of("reads", self.reads, "gradients", "momentum", "weights")
        self.built = True
        self.rho = rho

    def add_scalar(self, name: str, value: float, dtype: str) -> Any:
        """Adds a number to the rule's state.

        Args:
            name: Name of the variable.
            value: The number.
            dtype: Dtype of the variable. It has 32 bits where the device has nothing wider.

        Returns:
            The variable.
        """
        dtype = of_the_device(dtype)
        return self.add_weight(
            name=name,
            shape=(),
            dtype=dtype,
            # Keras' Constant rounds to float32.
            initializer=lambda shape, dtype: ops.convert_to_tensor(value, dtype),
            trainable=False,
            aggregation="only_first_replica",
        )

    def perturbs(self, step: Tensor | None = None) -> Tensor:
        """Whether the perturbation of this step may be other than zero.

        Args:
            step: The number of steps that the optimizer has taken. An override that requires it is
                asked at each step; without it, only when a number of the rule is set.

        Returns:
            A boolean scalar tensor. If it is false, the step is plain: it takes one pass.
        """
        return type(self).rho.tensor(self, step) != 0

    def settled(self) -> bool | None:
        """Whether the rule perturbs in every step, or in none, unless a number is set.

        Returns:
            A bool. None if it may depend on the step.

        Raises:
            RuntimeError: A graph is being traced.
        """
        if steps.matter_to(self):
            return None
        self.sync()
        perturbs = steps.at(None, self.perturbs)
        if is_traced(perturbs):
            raise RuntimeError(
                "A rule, its numbers and the options of the step cannot be set in a graph, which "
                "would have to be another one. Set them in a callback"
            )
        perturbs = bool(perturbs)
        overridden = type(self).perturbs is not Rule.perturbs
        return None if overridden and not perturbs else perturbs

    def build(self, variables: Variables) -> None:
        """Creates the rule's state, if it has any.

        Args:
            variables: The trainable variables, or anything else with shapes and dtypes.
        """

    def call(
        self, gradients: Gradients, variables: Variables, rho: FloatTensor
    ) -> list[Tensor | None]:
        """Computes the perturbation e(w). Every rule implements this.

        Args:
            gradients: Dense gradients at w in float32 or wider, None where the loss does not depend
                on a variable. Momentum or weights, if the rule `reads` those.
            variables: The trainable variables, one for each gradient.
            rho: The radius of this step, a scalar tensor.

        Returns:
            List of tensors with the gradients' shapes, None for None.
        """
        raise NotImplementedError(f"`{type(self).__name__}` must implement `call`")

    @as_written
    def __call__(
        self, gradients: Gradients, variables: Variables, step: Any = None
    ) -> list[Tensor | None]:
        """Computes the perturbation e(w).

        Args:
            gradients: Dense gradients at w, None where the loss does not depend on a variable.
            variables: The trainable variables, one for each gradient.
            step: `optimizer.iterations`, the number of steps before this one. It may be left out
                where the rule's steps do not differ by it: no schedule, no `LookSAM`.

        Returns:
            List of tensors with the gradients' shapes and dtypes. It has None for None, and for
            variables that Keras overwrites with their gradient: float8 scales are no weights.

        Raises:
            TypeError: `step` is no integer scalar.
            ValueError: `gradients` and `variables` differ in length, or `call` returns something
                else than a tensor of its shape for each gradient; `step` is missing.
        """
        step = self._checked_step(step)
        gradients, variables = list(gradients), list(variables)
        if len(gradients) != len(variables):
            raise ValueError(
                "`gradients` and `variables` must have the same length. "
                f"Received: {len(gradients)} gradients and {len(variables)} variables"
            )
        self.build(variables)
        gradients = [
            None if g is None or optimizers.is_overwritten(v) else g
            for g, v in zip(gradients, variables, strict=True)
        ]
        rho = type(self).rho.tensor(self, step)
        epsilons = steps.at(step, self.call, each(widened, gradients), variables, rho)
        epsilons = self._checked(epsilons, gradients)
        return each(lambda e, g: of_dtype(e, g.dtype), epsilons, gradients)

    def _checked_step(self, step):
        if step is not None:
            return steps.checked(step)
        if steps.matter_to(self):
            raise ValueError(
                f"{steps.NEEDED}: the steps of this {type(self).__name__} differ by it. "
                "Received: step=None"
            )
        return None

    def _checked(self, epsilons, gradients):
        """What `call` returned, after checking that it is a perturbation."""
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

    def descent(self, gradients: Gradients, shifted_gradients: Gradients) -> Gradients:
        """Computes what the optimizer gets: the gradients at w + e(w), unless a rule overrides it.

        It may assign the rule's state.

        Args:
            gradients: Dense gradients at w. A loss scale multiplies both arguments: the result
                must be homogeneous in both.
            shifted_gradients: Dense gradients at w + e(w), None where `gradients` has None.

        Returns:
            List of tensors with the gradients' shapes.
        """
        return shifted_gradients

    def plain_descent(self, gradients: Gradients) -> Gradients:
        """Computes what the optimizer gets in a plain step: the gradients, unless overridden.

        Args:
            gradients: Dense gradients at w, as those of `descent`.

        Returns:
            List of tensors with the gradients' shapes.
        """
        return gradients

    def save_own_variables(self, store: Any) -> None:
        state.save(self, store)
        if (model := self._model()) is not None:
            model.save_seeds(store)

    def load_own_variables(self, store: Any) -> None:
        store = state.opened(store)
        state.load(self, store)
        self.changed()
        if (model := self._model()) is not None:
            model.load_seeds(store)

    def __repr__(self) -> str:
        """The rule as it is made, such as `SAM(rho=0.05)`."""
        try:
            return written(self)
        except Exception:  # Within its constructor, or in a step of JAX, a rule has no numbers.
            return super().__repr__()

    def scheduled_numbers(self) -> dict[str, Any]:
        """The numbers that follow a schedule, by their names, as they are in the next step."""
        members = {name: each for made in type(self).__mro__ for name, each in vars(made).items()}
        return {
            name: getattr(self, name)
            for name, each in members.items()
            if isinstance(each, Hyperparameter) and each.schedule(self)
        }

    def get_config(self) -> Config:
        return {"name": self.name, "rho": type(self).rho.to_config(self)}

    @classmethod
    def from_config(cls, config: Config) -> Rule:
        hyperparameters = {
            name: Hyperparameter.from_config(value)
            for name, value in config.items()
            if isinstance(getattr(cls, name, None), Hyperparameter)
        }
        return cls(**{**config, **hyperparameters})
