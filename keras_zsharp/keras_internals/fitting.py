"""How Keras reads data and runs `fit`."""

from __future__ import annotations

import importlib
import inspect
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import keras
from keras.src import backend
from keras.src.trainers import data_adapters
from keras.src.trainers.data_adapters import array_data_adapter

from keras_zsharp.backend import NAME
from keras_zsharp.keras_internals.calling import build
from keras_zsharp.keras_internals.tracking import MixinOfAModel
from keras_zsharp.typing import Nested


class BuiltFromABatch(MixinOfAModel):
    """Mixin of a `keras.Model` that chooses from what `fit` builds the model."""

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        super()._maybe_symbolic_build(*self._before_building(iterator, data_batch))

    def _before_building(self, iterator, data_batch):
        """The epoch iterator or the batch from which Keras takes the shapes, and None."""
        return iterator, data_batch


class StateOfATrainer(MixinOfAModel):
    """Mixin of a `keras.Model` on JAX that sees how the trainer takes values and puts them back."""

    def _get_jax_state(self, **kinds):
        return self.take_state(super()._get_jax_state, **kinds)

    def take_state(self, take: Any, **kinds: bool) -> Any:
        """Takes the values of the variables of some kinds by Keras' function `take`."""
        return take(**kinds)

    if hasattr(keras.Model, "state_sync"):  # From Keras 3.16 on, where `jax_state_sync` calls it.

        def state_sync(self) -> None:
            """`keras.Model.state_sync`."""
            self.put_back_state(super().state_sync)

    else:

        def jax_state_sync(self) -> None:
            """`keras.Model.jax_state_sync`."""
            self.put_back_state(super().jax_state_sync)

    def put_back_state(self, put_back: Callable[[], None]) -> None:
        """Gives the variables the trainer's values by Keras' function `put_back`."""
        put_back()


def build_as_iterated(model: keras.Model, iterator: Any) -> None:
    """Creates the variables of `model` for Keras' epoch iterator. It takes no batch of it."""
    x, _, _ = keras.utils.unpack_x_y_sample_weight(iterator._distributed_dataset.element_spec)
    build(model, x)


def start_at_epoch(model: Any, epoch: int | None) -> None:
    """Makes the `fit` that has just begun start at an epoch. None is its own first epoch."""
    model._initial_epoch = epoch


class Fit(NamedTuple):
    """What a `fit` knows, and does not tell its callbacks."""

    callbacks: keras.callbacks.CallbackList
    arguments: dict[str, Any]
    iterator: Any


def running_fit() -> Fit | None:
    """The `fit` that has called a callback, or None. Keras tells no callback of the others."""
    frame = inspect.currentframe()
    while frame is not None:
        names = frame.f_locals
        callbacks = names.get("callbacks")
        if isinstance(callbacks, keras.callbacks.CallbackList) and "epoch_iterator" in names:
            known = ("batch_size", "shuffle", "class_weight", "steps_per_epoch", "initial_epoch")
            arguments = {name: names.get(name) for name in known}
            return Fit(callbacks, arguments, names["epoch_iterator"])
        frame = frame.f_back
    return None


def is_read_from_its_start(fit: Fit) -> bool:
    """Whether the data have no place or order of their own that an epoch would change."""
    adapter = fit.iterator.data_adapter
    arrays = type(adapter).__name__ == "ArrayDataAdapter"
    # From Keras 3.16 on, the number of the epoch is the seed of its order.
    has_a_place = NAME == "tensorflow" or hasattr(adapter, "_epoch")
    shuffled = fit.arguments["shuffle"] and has_a_place
    return arrays and not shuffled and not fit.arguments["steps_per_epoch"]


def reads_in_threads(fit: Fit) -> bool:
    """Whether Python that makes the data runs in a thread of TensorFlow, ahead of the steps."""
    name = type(fit.iterator.data_adapter).__name__
    by_tensorflow = NAME == "tensorflow" and name != "ArrayDataAdapter"
    return by_tensorflow or name == "TFDatasetAdapter"


def read_epochs(iterator: Any, epochs: int) -> None:
    """Reads the data of some epochs as `fit` does, and does nothing with them."""
    for _ in range(epochs):
        with iterator.catch_stop_iteration():
            for *_, data in iterator:  # Keras 3.8 has one number before it, later ones two.
                if not isinstance(data, list | tuple):
                    for _ in range(iterator.steps_per_execution):
                        next(data)


def compiled_with(model: Any) -> dict[str, Any]:
    """The arguments of `compile`."""
    return dict(model._compile_config.config)


def are_arrays(x: Nested) -> bool:
    """Whether `fit` cuts `x` itself into batches: along the first axis of each of its arrays."""
    return array_data_adapter.can_convert_arrays(x)


def has_adapter(data: Any) -> bool:
    """Whether `fit` takes data that is neither a generator nor arrays with targets beside them."""
    try:
        data_adapters.get_data_adapter(data)
    except ValueError:
        return False
    return True


def numpy_batches(data: Any) -> Iterator[Nested]:
    """The batches of what `fit` takes as `x`, with NumPy arrays in them."""
    return iter(data_adapters.get_data_adapter(data).get_numpy_iterator())


def never_compiled(model: Any) -> None:
    """Makes `jit_compile="auto"` mean False for a model."""
    model.supports_jit = False


def synced(model: Any) -> None:
    """Updates the variables of a model. While JAX trains it, they are empty until an epoch ends."""
    if NAME == "jax" and not backend.in_stateless_scope():
        model.jax_state_sync()


def keep_trainer_state(model: Any) -> None:
    """Tells JAX's trainer that the state it gets from a step is newer than the variables."""
    model._jax_state_synced = False


def enter_step(model: Any) -> None:
    """Notes that a step of JAX's trainer has begun."""
    model.__dict__["_in_step_of_jax"] = True


def leave_step(model: Any) -> None:
    """Notes that no step of JAX's trainer is running."""
    model.__dict__["_in_step_of_jax"] = False


def step_of_jax(model: Any) -> str | None:
    """'eager' or 'compiled' in a step of JAX's trainer, which is a function of a state."""
    if not model.__dict__.get("_in_step_of_jax"):
        return None
    return "compiled" if model.jit_compile and not model.run_eagerly else "eager"


def check_set(model: Any, name: str) -> None:
    """Refuses to set a number or an option beside the state of a step of JAX."""
    if step_of_jax(model) and not backend.in_stateless_scope():
        raise RuntimeError(
            f"`{name}` cannot be set in a step on JAX, which returns a state of its own. Set it in "
            "a callback"
        )


def trainer_state(model: Any) -> dict[str, Any] | None:
    """The values by kinds that JAX's trainer has of variables, None if the variables have them."""
    return None if model._jax_state_synced else getattr(model, "_jax_state", None)


def set_trainer_state(model: Any, kinds: dict[str, Any], values: Iterable[Any]) -> None:
    """Makes values of variables those that JAX's trainer has, by the `kinds` that are there."""
    names = [name for name in kinds if kinds[name] and name != "purge_model_variables"]
    # Keras' own attributes: as a model's they would be tracked.
    model.__dict__["_jax_state"] = dict(zip(names, values, strict=True))
    model._jax_state_synced = False


def check_not_empty(model: Any) -> None:
    """Refuses to take values that JAX's trainer has already, in another thread."""
    empty = [v.path for v in model.variables if v._value is None]
    if empty:
        model._jax_state_synced = False
        raise RuntimeError(
            "A model that trains on JAX cannot be used in another thread: its variables are empty "
            "until the epoch ends. Use a copy of it, made before. "
            f"Received: {model.name!r} with {len(empty)} empty variables, such as {empty[0]!r}"
        )


_MAKING = threading.RLock()


def without_donating(make: Callable[[], None]) -> None:
    """Makes a program of JAX's trainer, which keeps what it is given.

    Keras donates a step's state: JAX deletes it when the step begins.
    """
    trainer: Any = importlib.import_module("keras.src.backend.jax.trainer")
    with _MAKING:
        jit = trainer.jit
        # No context of its own: an interrupt could cut that as it is left.
        try:
            trainer.jit = lambda function, donate_argnums=None, **kwargs: jit(function, **kwargs)
            make()
        finally:
            trainer.jit = jit
