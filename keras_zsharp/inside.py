"""What a wrapper shows of the model inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_zsharp.keras_internals import calling, saving, tracking
from keras_zsharp.typing import Nested, Tensor


class _OfTheNetwork:
    """A method of `keras.Model`: that of the model inside if its class overrides it."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, wrapper: Any, owner: type | None = None) -> Any:
        of_keras = getattr(keras.Model, self._name)
        if wrapper is None:
            return of_keras
        inside = tracking.attributes_of(wrapper).get("model")
        overridden = inside and getattr(type(inside), self._name) is not of_keras
        if overridden and wrapper._calls_as_it_is():
            return getattr(inside, self._name)
        return of_keras.__get__(wrapper)


class ShowsItsModel(tracking.MixinOfAModel):
    """Mixin of a `keras.Model` with a `model` inside, which looks like the model inside.

    Attributes that are about the network are those of the model inside. Those about training, such
    as `optimizer` and `metrics`, are the wrapper's own.
    """

    model: keras.Model

    def call(self, *inputs: Nested, training: bool | None = None, **kwargs: Any) -> Nested:
        """Calls the model inside, whose arguments it takes.

        Args:
            *inputs: Positional arguments of the model inside.
            training: Whether the call is part of training.
            **kwargs: Keyword arguments of the model inside.

        Returns:
            The outputs of the model inside.
        """
        return calling.call_inside(self, self.model, *inputs, training=training, **kwargs)

    def stateless_call(
        self,
        trainable_variables: Sequence[Tensor],
        non_trainable_variables: Sequence[Tensor],
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """`keras.Model.stateless_call` of the model inside. The rule's state stays as it is.

        Args:
            trainable_variables: The values of `trainable_variables`.
            non_trainable_variables: The values of `non_trainable_variables`.
            *args: Passed on.
            return_losses: Whether to return the losses of the call, too.
            **kwargs: Passed on.

        Returns:
            The outputs, the new values of `non_trainable_variables`, and perhaps the losses.
        """
        by_kind = trainable_variables, non_trainable_variables
        if not self._calls_as_it_is():
            return super().stateless_call(*by_kind, *args, return_losses=return_losses, **kwargs)
        kinds = self.trainable_variables, self.non_trainable_variables
        values = {
            id(variable): value
            for of_kind, their_values in zip(kinds, by_kind, strict=True)
            for variable, value in zip(of_kind, their_values, strict=True)
        }
        inside = self.model.trainable_variables, self.model.non_trainable_variables
        outputs, new, *losses = self.model.stateless_call(
            *([values[id(v)] for v in of_kind] for of_kind in inside),
            *args,
            return_losses=return_losses,
            **kwargs,
        )
        values |= zip(map(id, inside[1]), new, strict=True)
        return (outputs, [values[id(v)] for v in self.non_trainable_variables], *losses)

    def _calls_as_it_is(self):
        """Whether no subclass of the wrapper calls the model inside in a way of its own."""
        return type(self).call is ShowsItsModel.call

    def __getattr__(self, name: str) -> Any:
        """An attribute of the model inside that the wrapper does not have, such as `inputs`."""
        own = tracking.attributes_of(self)
        if name in own:  # On PyTorch, Python does not find layers.
            return own[name]
        inside = not name.startswith("_") and name not in tracking.set_in_training()
        if "model" in own and inside:
            return getattr(own["model"], name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute, on the model inside if only that has it: a callback may anneal it."""
        own = (
            name.startswith("_")
            or name in tracking.attributes_of(self)
            or hasattr(type(self), name)
        )
        if own or name in tracking.set_in_training() or not hasattr(self, name):
            super().__setattr__(name, value)
        else:
            setattr(self.model, name, value)

    @property
    def layers(self) -> list[keras.Layer]:
        """The layers of the model inside, then those that a subclass of the wrapper adds."""
        if saving.read_for_a_file():
            # Files of 0.2.0 have the model inside as the wrapper's one layer.
            return super().layers
        own = [layer for layer in super().layers if layer is not self.model]
        return [*self.model.layers, *own]

    @layers.setter
    def layers(self, value):
        keras.Model.layers.fset(self, value)

    @property
    def input_spec(self) -> Any:
        """What the model inside expects of its inputs."""
        return self.model.input_spec

    @input_spec.setter
    def input_spec(self, value):
        self.model.input_spec = value

    @property
    def trainable(self) -> bool:
        """Whether the model inside is trainable."""
        return self.model.trainable

    @trainable.setter
    def trainable(self, value):
        keras.Model.trainable.fset(self, value)

    @property
    def metrics(self) -> list[keras.Metric]:
        """The metrics of the wrapper, and those that the model inside updates in its `call`."""
        found = super().metrics
        known = {id(metric) for metric in found}
        return [*found, *(m for m in tracking.own_metrics(self.model) if id(m) not in known)]

    @property
    def path(self) -> Any:
        """The path of the model inside: the wrapper is no part of its variables' paths."""
        return self.model.path

    count_params = _OfTheNetwork()
    compute_mask = _OfTheNetwork()
    compute_output_shape = _OfTheNetwork()
    compute_output_spec = _OfTheNetwork()
    get_layer = _OfTheNetwork()
    get_quantization_layer_structure = _OfTheNetwork()
    get_weights = _OfTheNetwork()
    set_weights = _OfTheNetwork()
    summary = _OfTheNetwork()

    def export(self, *args: Any, **kwargs: Any) -> Any:
        """`keras.Model.export` of the model inside: a served model needs no rule.

        Args:
            *args: Passed on.
            **kwargs: Passed on.
        """
        return self.model.export(*args, **kwargs)
