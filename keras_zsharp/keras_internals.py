"""The private names of Keras that this library uses.

A new release of Keras may break this module, and no other.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
from keras.src import backend
from keras.src.backend.common import global_state
from keras.src.backend.common.masking import get_keras_mask as mask_of
from keras.src.backend.common.masking import set_keras_mask
from keras.src.legacy.saving import legacy_h5_format
from keras.src.losses.loss import unscale_loss_for_distribution as unscale_loss
from keras.src.saving import object_registration, saving_lib
from keras.src.trainers import data_adapters
from keras.src.trainers.data_adapters import array_data_adapter
from keras.src.utils import python_utils

from keras_zsharp import keras_names
from keras_zsharp.backend import NAME
from keras_zsharp.ops import size_of
from keras_zsharp.typing import Batch, Logs, Nested, Path, Tensor

__all__ = [
    "NORMALIZATIONS",
    "BuiltFromABatch",
    "FilesOfItsModel",
    "Fit",
    "MixinOfAModel",
    "Scope",
    "StateOfATrainer",
    "are_arrays",
    "assign_in_place",
    "attributes_of",
    "build",
    "build_as_iterated",
    "build_loss",
    "build_metrics",
    "build_optimizer",
    "built_otherwise",
    "call_as",
    "call_inside",
    "check_not_empty",
    "compiled_with",
    "compute_loss",
    "decayed",
    "evaluation_loss",
    "flat_layers",
    "flat_losses",
    "forget",
    "forward",
    "has_adapter",
    "is_built",
    "is_distributed",
    "is_overwritten",
    "is_own",
    "is_read_from_its_start",
    "knows_the_arguments",
    "layers_adding_losses",
    "leave_arguments_to_keras",
    "logs_of",
    "loss_arguments",
    "mask_of",
    "momenta",
    "names_of_keras",
    "never_compiled",
    "numpy_batches",
    "of_any_backend",
    "open_scope",
    "overridden_losses",
    "own_metrics",
    "own_variables",
    "read_around_scope",
    "read_epochs",
    "read_for_a_file",
    "reads_in_threads",
    "remove_attribute",
    "replace_layer",
    "running_fit",
    "save_as",
    "seeds",
    "set_in_training",
    "set_trainer_state",
    "start_at_epoch",
    "state_of_own_layers",
    "steps_taken",
    "stored",
    "synced",
    "trained",
    "trainer_state",
    "training_methods",
    "unlocked",
    "unpickle_model",
    "unscale_loss",
    "updated_metrics",
    "variables_of",
    "with_mask",
    "without_donating",
]


if TYPE_CHECKING:
    MixinOfAModel = keras.Model
else:
    MixinOfAModel = object
"""The base of a mixin whose methods use those of the `keras.Model` that has it."""


class BuiltFromABatch(MixinOfAModel):
    """Mixin of a `keras.Model` that chooses from what `fit` builds the model."""

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        super()._maybe_symbolic_build(*self._before_building(iterator, data_batch))

    def _before_building(self, iterator, data_batch):
        """The epoch iterator or the batch from which Keras takes the shapes, and None."""
        return iterator, data_batch


class StateOfATrainer(MixinOfAModel):
    """Mixin of a `keras.Model` on JAX that sees how the trainer takes the values of variables."""

    def _get_jax_state(self, **kinds):
        return self.take_state(super()._get_jax_state, **kinds)

    def take_state(self, take: Any, **kinds: bool) -> Any:
        """Takes the values of the variables of some kinds by Keras' function `take`."""
        return take(**kinds)


class FilesOfItsModel(MixinOfAModel):
    """Mixin of a `keras.Model` with a `model` inside, whose files are those of the model inside.

    The variables have the paths that they have without the wrapper. Saved models have the signature
    of the model inside. In a file of weights everything is where plain Keras puts it. Rule and
    optimizer are where they would be if the model inside had them.
    """

    model: keras.Model

    def _open_name_scope(self):
        return contextlib.nullcontext()

    @property
    def _default_save_signature(self):
        return self.model._default_save_signature

    def _get_save_spec(self, dynamic_batch=True):
        # TFLite's converter calls this if it has not found the inputs.
        raise ValueError(
            f"`{type(self).__name__}` cannot be converted. Convert the model inside, once it is "
            "built: TFLiteConverter.from_keras_model(keras_zsharp.plain(model))"
        )

    def save_weights(self, filepath: Path, *args: Any, **kwargs: Any) -> None:
        """`keras.Model.save_weights` of the model inside, with rule and optimizer.

        Args:
            filepath: Path of the file.
            *args: Passed on to `keras.Model.save_weights`.
            **kwargs: Passed on to `keras.Model.save_weights`.
        """
        with self._with_rule_and_optimizer() as model:
            model.save_weights(filepath, *args, **kwargs)

    def load_weights(self, filepath: Path, *args: Any, **kwargs: Any) -> None:
        """`keras.Model.load_weights` of the model inside, with rule and optimizer.

        Args:
            filepath: Path of the file.
            *args: Passed on to `keras.Model.load_weights`.
            **kwargs: Passed on to `keras.Model.load_weights`.
        """
        if not str(filepath).endswith((".weights.h5", ".weights.json")):
            # A file of the wrapper as a whole.
            super().load_weights(filepath, *args, **kwargs)
            return
        with self._with_rule_and_optimizer() as model:
            model.load_weights(filepath, *args, **kwargs)

    @contextlib.contextmanager
    def _with_rule_and_optimizer(self):
        # Keras saves and loads what is among an object's attributes.
        own = attributes_of(self)
        own = {n: own[n] for n in ("perturbation", "optimizer") if n in own}
        attributes = vars(self.model)
        before = {name: attributes[name] for name in own if name in attributes}
        attributes.update(own)
        try:
            yield self.model
        finally:
            for name in own:
                del attributes[name]
            attributes.update(before)


def read_for_a_file() -> bool:
    """Whether Keras reads an attribute of a model because it saves or loads what is in it."""
    frame: Any = inspect.currentframe()
    while frame.f_globals["__name__"].startswith("keras_zsharp."):
        frame = frame.f_back
    return frame.f_globals["__name__"] in (saving_lib.__name__, legacy_h5_format.__name__)


def knows_the_arguments(get_config: Any) -> bool:
    """Whether it is Keras' own `get_config`, which returns the constructor's arguments."""
    return python_utils.is_default(get_config)


def leave_arguments_to_keras(cls: Any) -> None:
    """Makes Keras add the constructor's arguments to the `get_config` that `cls` inherits."""
    inherited = cls.get_config

    @functools.wraps(inherited)
    def get_config(self):
        return inherited(self)

    cls.get_config = python_utils.default(get_config)


def call_as(wrapper: keras.Model, model: keras.Model, same_arguments: bool) -> None:
    """Makes Keras call a wrapper like the model: with its arguments by their names, not cast.

    Args:
        wrapper: A wrapper.
        model: The model in it.
        same_arguments: Whether the wrapper's `call` takes the arguments that the model's takes.
    """
    wrapper._convert_input_args = False
    wrapper._allow_non_tensor_positional_args = True
    if not same_arguments:
        return
    # To build a wrapper, Keras calls it with all arguments of the signature by name.
    wrapper._call_signature = model._call_signature
    wrapper.call_signature_parameters = model.call_signature_parameters
    wrapper.supports_masking = model.supports_masking
    wrapper._call_has_training_arg = model._call_has_training_arg
    if not python_utils.is_default(model.build):
        vars(wrapper)["build"] = _building_inside(wrapper, model)


def _building_inside(wrapper, model):
    @functools.wraps(model.build)
    def build(*args, **kwargs):
        # Keras knows no shapes where the wrapper is called on what is no tensor yet.
        if any(shape is not None for shape in (*args, *kwargs.values())):
            model.build(*args, **kwargs)
        wrapper._build_shapes_dict = model._build_shapes_dict
        wrapper.built = True

    return build


def call_inside(
    wrapper: Any, model: keras.Model, *inputs: Nested, training: bool | None, **kwargs: Any
) -> Nested:
    """Calls the model in a wrapper as the wrapper is called: with `training` if that takes it."""
    if wrapper._call_has_training_arg:
        kwargs["training"] = training
    return model(*inputs, **kwargs)


def replace_layer(model: Any, old: keras.Layer, new: keras.Layer) -> None:
    """Makes `model` track the layer `new` instead of `old`. The model may be built."""
    model._tracker.replace_tracked_value("layers", old, new)


@contextlib.contextmanager
def unlocked(model: Any) -> Iterator[None]:
    """Lets a built model track more layers and metrics."""
    tracker = model._tracker
    locked, tracker.locked = tracker.locked, False
    try:
        yield
    finally:
        tracker.locked = locked


def attributes_of(model: Any) -> dict[str, Any]:
    """A model's attributes by name. On PyTorch, its `vars` lack the layers."""
    return {**vars(model), **vars(model).get("_modules", {})}


def remove_attribute(model: Any, name: str) -> None:
    """Removes an attribute, and makes Keras forget it."""
    model._tracker.untrack(attributes_of(model)[name])
    modules = vars(model).get("_modules", {})
    if name in modules:
        del modules[name]
    else:
        object.__delattr__(model, name)


keras_names.check(keras.StatelessScope())

unpickle_model = keras.Model._unpickle_model
"""The function by which Keras copies and unpickles models."""


def save_as(cls: type, registered: type) -> None:
    """Makes Keras save the objects of a class under the name of a registered class."""
    names = object_registration.GLOBAL_CUSTOM_NAMES
    names[cls] = names[registered]


def forget(cls: type) -> None:
    """Undoes `save_as`."""
    object_registration.GLOBAL_CUSTOM_NAMES.pop(cls, None)


def is_built(model: keras.Model) -> bool:
    """Whether every layer of `model` has its variables."""
    return all(layer.built for layer in flat_layers(model))


def is_distributed(model: Any) -> bool:
    """Whether `model` was constructed under a distribution strategy."""
    return model._distribute_strategy is not None


@contextlib.contextmanager
def variables_of(model: Any) -> Iterator[None]:
    """Encloses making variables that belong to `model`: its replicas share them.

    A variable made outside of the scope of a strategy is a single one, which all replicas assign,
    each its own value.
    """
    strategy = getattr(model, "_distribute_strategy", None)
    if strategy is None:
        yield
        return
    import tensorflow as tf

    with contextlib.nullcontext() if tf.distribute.has_strategy() else strategy.scope():
        yield


def build(model: keras.Model, inputs: Nested) -> None:
    """Creates the variables of `model` from the shapes and dtypes of `inputs`."""
    backend.compute_output_spec(lambda x: forward(model, x), _symbolic(inputs))


def build_as_iterated(model: keras.Model, iterator: Any) -> None:
    """Creates the variables of `model` for Keras' epoch iterator. It takes no batch of it."""
    x, _, _ = keras.utils.unpack_x_y_sample_weight(iterator._distributed_dataset.element_spec)
    build(model, x)


def build_loss(model: Any, x: Nested, y: Nested, sample_weight: Nested) -> None:
    """Creates the variables of the compiled loss from the shapes and dtypes of a batch."""
    if model._compile_loss is not None and not model._compile_loss.built:
        batch = _symbolic((x, y, sample_weight))
        backend.compute_output_spec(lambda *batch: evaluation_loss(model, *batch), *batch)


def _symbolic(tensors):
    def symbolic(x):
        if x is None:
            return None
        return keras.KerasTensor(x.shape, keras.backend.standardize_dtype(x.dtype))

    return keras.tree.map_structure(symbolic, tensors)


def build_optimizer(model: Any) -> None:
    """Creates the variables of the compiled optimizer and of the rule. The model must be built."""
    if not is_built(model):
        raise ValueError(
            "The model must be built before its state is restored: call it on a batch, or give "
            f"it its input shape. Received: model={model.name!r}"
        )
    if not model.optimizer.built:
        with variables_of(model):
            model.optimizer.build(model.trainable_variables)
    if hasattr(model, "perturbation"):
        model.perturbation.build(trained(model))


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
    drawn_in_a_graph = NAME == "tensorflow" and fit.arguments["shuffle"]
    return arrays and not drawn_in_a_graph and not fit.arguments["steps_per_epoch"]


def reads_in_threads(fit: Fit) -> bool:
    """Whether Python that makes the data runs in a thread of TensorFlow, ahead of the steps."""
    name = type(fit.iterator.data_adapter).__name__
    by_tensorflow = NAME == "tensorflow" and name != "ArrayDataAdapter"
    return by_tensorflow or name == "TFDatasetAdapter"


def read_epochs(iterator: Any, epochs: int) -> None:
    """Reads the data of some epochs as `fit` does, and does nothing with them."""
    for _ in range(epochs):
        with iterator.catch_stop_iteration():
            for _, _, data in iterator:
                if not isinstance(data, list | tuple):
                    for _ in range(iterator.steps_per_execution):
                        next(data)


def loss_arguments(loss: keras.Loss) -> dict[str, Any]:
    """What a loss hands to its function. Its config need not have it: that of `Huber` has none."""
    return dict(getattr(loss, "_fn_kwargs", {}))


def compiled_with(model: Any) -> dict[str, Any]:
    """The arguments of `compile`."""
    return dict(model._compile_config.config)


def decayed(model: Any) -> list[bool]:
    """Whether the optimizer decays each trainable variable, if it decays any."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not optimizer.weight_decay:
        return []
    return [bool(optimizer._use_weight_decay(v)) for v in model.trainable_variables]


def build_metrics(model: Any, y: Nested, y_pred: Nested) -> None:
    """Creates the variables of the compiled metrics."""
    metrics = model._compile_metrics
    if metrics is not None and not metrics.built:
        metrics.build(y, y_pred)


def forward(model: Any, x: Nested, training: bool = True) -> Nested:
    """Calls a model as Keras' trainer does: with `training` if it takes that.

    In several processes of PyTorch, Keras trains from 3.16 on by a wrapper, `ddp_model`, whose
    backward passes average the gradients.
    """
    kwargs = {"training": training} if model._call_has_training_arg else {}
    wrapped = getattr(model, "ddp_model", None) if training else None
    return (wrapped or model)(x, **kwargs)


def compute_loss(
    model: Any, x: Nested, y: Nested, y_pred: Nested, sample_weight: Nested, training: bool = True
) -> Tensor:
    """`model.compute_loss`, also if it is overridden without the `training` argument."""
    return model._compute_loss(
        x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training
    )


def with_mask(tensor: Tensor, mask: Tensor | None) -> Tensor:
    """The tensor, with a mask that losses and metrics find."""
    if mask is not None:
        set_keras_mask(tensor, mask)
    return tensor


def updated_metrics(
    model: Any, values: list[Tensor], loss: Tensor, batch: Batch, y_pred: Nested
) -> tuple[Logs, list[Tensor]]:
    """The logs of a step on JAX and new values of its metrics' variables, from those before."""
    x, y, sample_weight = batch
    return model._update_metrics_variables(values, loss, x, y, y_pred, sample_weight)


def logs_of(model: Any, loss: Tensor, batch: Batch, y_pred: Nested) -> Logs:
    """Updates the metrics with a step as Keras' own step does, and returns its logs."""
    x, y, sample_weight = batch
    model._loss_tracker.update_state(loss, sample_weight=size_of(x))
    return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def evaluation_loss(model: Any, x: Nested, y: Nested, sample_weight: Nested) -> Tensor:
    """The loss of a batch as `evaluate` computes it: without dropout, BatchNormalization fixed."""
    y_pred = forward(model, x, training=False)
    return compute_loss(model, x, y, y_pred, sample_weight, training=False)


NORMALIZATIONS = keras_names.some(
    (
        kind
        for kind in vars(keras.layers).values()
        if getattr(kind, "__module__", "").startswith("keras.src.layers.normalization.")
        and not issubclass(kind, keras.layers.Wrapper)
    ),
    "normalization layers",
)
"""Keras' own normalization layers. A wrapper normalizes the weights of another layer."""


def steps_taken(optimizer: Any) -> Tensor:
    """The number of steps that an optimizer has taken, a scalar tensor, in a scope that of there.

    `optimizer.iterations` is a variable, or a tensor where the optimizer accumulates gradients.
    """
    return keras.ops.convert_to_tensor(optimizer.iterations)


_MOMENTA = {
    keras.optimizers.SGD: ("momentums", -1),
    keras.optimizers.RMSprop: ("_momentums", 1),
    keras.optimizers.Adam: ("_momentums", 1),
    keras.optimizers.Adamax: ("_m", 1),
    keras.optimizers.Lion: ("_momentums", 1),
    keras.optimizers.Nadam: ("_momentums", 1),
}
"""The attribute in which an optimizer keeps its average of the gradients, and the sign of it."""


def momenta(optimizer: Any, variables: Iterable[Any]) -> list[Tensor]:
    """The averages of the gradients of `variables` that an optimizer keeps.

    They may have a factor: SGD's have the learning rate.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    found = [where for kind, where in _MOMENTA.items() if isinstance(inner, kind)]
    if not found or not getattr(inner, "momentum", 1.0):
        known = ", ".join(kind.__name__ for kind in _MOMENTA)
        raise ValueError(
            f"`optimizer` must keep a momentum, as those of {known} do; of SGD and RMSprop with "
            f"`momentum` above 0. Received: optimizer={inner.name!r}, a {type(inner).__name__}"
        )
    [(name, sign)] = found
    kept = getattr(inner, name)
    return [
        sign * keras.ops.convert_to_tensor(kept[inner._get_variable_index(v)]) for v in variables
    ]


def assign_in_place(variable: Any, value: Tensor) -> None:
    """Assigns a value to the variable itself, also in a stateless scope."""
    variable._direct_assign(value)


def stored(variable: Any) -> Any:
    """The backend's own variable behind a Keras variable, also in a stateless scope."""
    return variable._value


@functools.cache
def set_in_training() -> set[str]:
    """The names of the attributes that `compile` and `fit` set."""
    model = keras.Model(name="keras")
    model.compile("sgd", "mse")
    return {"history", *vars(model)}


@functools.cache
def names_of_keras() -> frozenset[str]:
    """The names of the attributes in which Keras keeps its books of layers and models.

    The first call makes variables: it must not come from a step that is traced.
    """
    kinds = keras.layers.Layer, keras.Model, keras.Sequential
    made = [vars(kind(name="keras")) for kind in kinds]
    return frozenset(set_in_training().union(*made))


def training_methods() -> set[str]:
    """The names of the methods that train, evaluate and compile a `keras.Model`.

    They include the properties that those methods read, which list weights and losses.
    """
    bases = (base for base in keras.Model.__mro__ if "trainer" in base.__module__)
    trainers = keras_names.some(bases, "trainer among the bases of keras.Model")
    found = {name for base in trainers for name in vars(base) if not name.startswith("__")}
    read = re.compile("losses|.*(variables|weights)")
    for base in keras.Model.__mro__:
        properties = {name for name, value in vars(base).items() if isinstance(value, property)}
        found |= set(filter(read.fullmatch, properties))
    return found


def flat_layers(model: Any) -> list[keras.Layer]:
    """The model, its layers, their layers, and so on."""
    return list(model._flatten_layers())


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


def is_own(thing: Any) -> bool:
    """Whether a function, or the class of an object, is Keras' own."""
    module = getattr(thing, "__module__", None) or type(thing).__module__
    return module.split(".")[0] == "keras"


def flat_losses(model: Any) -> list[Any]:
    """The loss of each output, after `compute_loss` has been called."""
    compiled = model._compile_loss
    return [each.loss for each in (compiled and compiled._flat_losses) or ()]


def overridden_losses(model: Any) -> list[str]:
    """The names of the methods by which a model, or that in a wrapper, has its own loss."""
    names = ("compute_loss", "_compute_loss", "stateless_compute_loss", "compute_loss_and_updates")
    inside = attributes_of(model).get("model")
    models = [model] + [inside] * isinstance(inside, keras.Model)
    ours = ("keras", "keras_zsharp")
    return [
        name
        for each in models
        for name in names
        if name in vars(each)
        or any(
            name in vars(base) and base.__module__.split(".")[0] not in ours
            for base in type(each).__mro__
        )
    ]


_SUMS = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)


def layers_adding_losses(model: Any) -> list[keras.Layer]:
    """The layers whose `call` has added losses in a stateless scope.

    Keras' own layers add sums over their outputs for `activity_regularizer`, which Keras divides by
    the number of examples.
    """
    return [
        layer
        for layer in flat_layers(model)
        if layer._loss_ids and not (is_own(layer) and type(layer.activity_regularizer) in _SUMS)
    ]


def state_of_own_layers(model: Any) -> list[Any]:
    """The variables that Keras' own layers have."""
    normalization = (keras.layers.BatchNormalization, keras.layers.SpectralNormalization)
    return [
        variable
        for layer in flat_layers(model)
        if is_own(layer) or isinstance(layer, normalization)
        for variable in (*layer._trainable_variables, *layer._non_trainable_variables)
    ]


def own_variables(layer: Any) -> list[Any]:
    """The trainable variables of a layer, without those of the layers in it."""
    return list(layer._trainable_variables)


def seeds(model: Any) -> list[Any]:
    """The states of the seed generators of a model and of its layers."""
    return [seed.state for layer in flat_layers(model) for seed in layer._seed_generators]


def own_metrics(model: Any) -> list[keras.Metric]:
    """The metrics among a model's attributes, which plain Keras logs."""
    return list(model._metrics)


def trained(model: keras.Model) -> list[Any]:
    """The variables that plain Keras' step trains."""
    on_jax = NAME == "jax"
    return model.trainable_variables if on_jax else model.trainable_weights


def read_around_scope(variables: Iterable[Any], tape: Any) -> list[str]:
    """The paths of the variables that `tape` saw themselves, and not their values in a scope."""
    watched = {id(v) for v in tape.watched_variables()}
    return [v.path for v in variables if id(stored(v)) in watched]


class Scope(keras.StatelessScope):
    """A `keras.StatelessScope` whose subclasses may override how variables are read and written."""

    def get_current_value(self, variable: Any) -> Any:
        return self.read(variable)

    def add_update(self, update: tuple[Any, Tensor]) -> None:
        self.write(*update)

    def read(self, variable: Any) -> Any:
        """Reads a variable for Keras: its value in the scope, or None if it has none there."""
        return self.stands_for(variable)

    def stands_for(self, variable: Any) -> Any:
        """The value of a variable in the scope, or None. It does not count as read."""
        return self.state_mapping.get(id(variable))

    def write(self, variable: Any, value: Tensor) -> None:
        """Sets the value of a variable in the scope."""
        self.state_mapping[id(variable)] = value

    def take_out(self, variable: Any) -> Tensor:
        """Removes a variable from the scope, and returns the value that it had there."""
        return self.state_mapping.pop(id(variable))


def open_scope() -> Callable[[], None]:
    """Notes which `keras.StatelessScope` is open in this thread, and returns what puts it back.

    What was opened in it since then, and was not closed, is closed.
    """
    scope = global_state.get_global_attribute("stateless_scope")
    return lambda: global_state.set_global_attribute("stateless_scope", scope)


def of_any_backend(config: Any) -> Any:
    """A config whose optimizers are those of `keras.optimizers`.

    On PyTorch, Keras names classes that no other backend can import.
    """
    if isinstance(config, dict):
        config = {name: of_any_backend(value) for name, value in config.items()}
        if str(config.get("module")).startswith("keras.src.backend.torch.optimizers."):
            config |= {"module": "keras.optimizers", "registered_name": None}
    elif isinstance(config, list):
        config = [of_any_backend(value) for value in config]
    return config


def is_overwritten(variable: Any) -> bool:
    """Whether an optimizer overwrites a variable with its gradient: a float8 scale, no weight."""
    return getattr(variable, "overwrite_with_gradient", False)


def built_otherwise(layer: keras.Layer) -> None:
    """Lets the `build` of a layer take other things than shapes, which Keras would record."""
    layer.__dict__.pop("build", None)


def never_compiled(model: Any) -> None:
    """Makes `jit_compile="auto"` mean False for a model."""
    model.supports_jit = False


def synced(model: Any) -> None:
    """Updates the variables of a model. While JAX trains it, they are empty until an epoch ends."""
    if NAME == "jax" and not backend.in_stateless_scope():
        model.jax_state_sync()


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
