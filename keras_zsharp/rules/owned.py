from __future__ import annotations

import inspect
import weakref
from typing import Any

import keras

from keras_zsharp.keras_internals import fitting, optimizers, tracking
from keras_zsharp.rules.hyperparameter import Hyperparameter


class OwnedByAModel(keras.layers.Layer):
    """A rule's bond to the model that trains by it, of which there is one at a time."""

    _owner = None
    """A weak reference to the model: Keras would save a model that is an attribute."""

    def __setattr__(self, name: str, value: Any) -> None:
        if self._is_fixed(name):
            raise TypeError(
                f"`{name}` of this {type(self).__name__} cannot be assigned once the rule is made: "
                "nothing would check it, and a compiled step computes with what it was. Make a new "
                "rule: "
                f"`model.rule = {type(self).__name__}({name}=...)`"
            )
        if isinstance(getattr(type(self), name, None), Hyperparameter):
            # Keras would track a variable as a weight of the rule, also if it is refused.
            object.__setattr__(self, name, value)
            return
        super().__setattr__(name, value)

    def add_weight(self, *args: Any, **kwargs: Any) -> Any:
        """`keras.Layer.add_weight`: the replicas of the rule's model share the variable.

        Args:
            *args: Passed on to `keras.Layer.add_weight`.
            **kwargs: Passed on to `keras.Layer.add_weight`.

        Returns:
            The variable.
        """
        with tracking.variables_of(self._model()):
            return super().add_weight(*args, **kwargs)

    def _is_fixed(self, name: str) -> bool:
        """Whether an attribute is an argument of the constructor, and that is through."""
        if name not in tracking.attributes_of(self) or hasattr(type(self), name):
            return False
        arguments = inspect.signature(type(self).__init__).parameters
        return name in arguments and not self._is_being_made()

    def _is_being_made(self):
        """Whether this is called within a constructor of the rule."""
        frame: Any = inspect.currentframe()
        while (frame := frame.f_back) is not None:
            first = frame.f_code.co_varnames[:1]
            of_this = any(frame.f_locals.get(name) is self for name in first)
            if frame.f_code.co_name == "__init__" and of_this:
                return True
        return False

    def _model(self) -> Any:
        """The model that the rule belongs to, or None."""
        return self._owner and self._owner()

    def steps_taken(self) -> Any:
        """The number of steps that the optimizer of the rule's model has taken, 0 without one."""
        optimizer = getattr(self._model(), "optimizer", None)
        return 0 if optimizer is None else optimizers.steps_taken(optimizer)

    def sync(self) -> None:
        """Updates the rule's variables. While a model trains, JAX keeps their values elsewhere."""
        if (model := self._model()) is not None:
            fitting.synced(model)

    def check_set(self, name: str) -> None:
        """Refuses to set a number in a step of JAX, which would not see it.

        Args:
            name: The name of the number.

        Raises:
            RuntimeError: The rule's model takes a step.
        """
        if (model := self._model()) is not None:
            fitting.check_set(model, name)

    def step_of_jax(self) -> str | None:
        """'eager' or 'compiled' where the rule's model takes a step on JAX."""
        return None if (model := self._model()) is None else fitting.step_of_jax(model)

    def changed(self) -> None:
        """Tells the rule's model that one of the rule's numbers may have changed."""
        if (model := self._model()) is not None:
            model.rule_has_changed()

    def belong_to(self, model: keras.Model) -> None:
        """Binds the rule to one model: its state depends on the gradients of that model.

        Args:
            model: The model that trains by the rule.

        Raises:
            ValueError: The rule belongs to another model.
        """
        self.check_free_for(model)
        self._owner = weakref.ref(model)

    def check_free_for(self, model: keras.Model) -> None:
        """Refuses a model if the rule belongs to another one.

        Args:
            model: A model.

        Raises:
            ValueError: The rule belongs to another model.
        """
        owner = self._model()
        if owner not in (None, model):
            raise ValueError(
                f"`rule` must not belong to another model: {self.name!r} belongs to "
                f"{owner.name!r}. Make a new one: "
                f"{type(self).__name__}.from_config(rule.get_config())"
            )

    def leave(self) -> None:
        """Frees the rule for another model."""
        self._owner = None
