"""What this library needs of Keras that has no public name.

A new release may break it, and nothing else.
"""

import contextlib
import contextvars
import functools
import re

import keras
from keras.src import backend
from keras.src.losses.loss import unscale_loss_for_distribution as unscale_loss
from keras.src.utils import python_utils

__all__ = [
    "BuiltFromABatch",
    "FilesOfItsModel",
    "ProgramsChosen",
    "Scope",
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
    "called_by_call",
    "compute_loss",
    "evaluation_loss",
    "flat_layers",
    "forward",
    "is_built",
    "is_distributed",
    "is_overwritten",
    "knows_the_arguments",
    "leave_arguments_to_keras",
    "loss_tracker",
    "momenta",
    "never_compiled",
    "of_any_backend",
    "own_metrics",
    "own_variables",
    "read_around_scope",
    "remove_attribute",
    "replace_layer",
    "set_in_training",
    "start_at_epoch",
    "stored",
    "synced",
    "trained",
    "training_methods",
    "unlocked",
    "unpickle_model",
    "unscale_loss",
]


class BuiltFromABatch:
    """Mixin of a `keras.Model` that has a say in what `fit` and its like build it from."""

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        super()._maybe_symbolic_build(*self._before_building(iterator, data_batch))

    def _before_building(self, iterator, data_batch):
        """What Keras is to take its shapes from: an epoch iterator or a batch, None for either."""
        return iterator, data_batch


class ProgramsChosen:
    """Mixin of a `keras.Model` on JAX that chooses, step by step, which program is to take it."""

    def choose_program(self, state):
        """The trainer's state as the step is to be given it."""
        return state

    def _make_function(self, step_function, *args, **kwargs):
        if getattr(step_function, "__wrapped__", None) != self.train_step:  # Not compiled.
            return super()._make_function(step_function, *args, **kwargs)

        def chosen(state, data):
            return step_function(self.choose_program(state), data)

        return super()._make_function(chosen, *args, **kwargs)


class FilesOfItsModel:
    """Mixin of a `keras.Model` whose files for others look like those of the one in it, `model`.

    For TensorFlow, that is its signature. In a file of weights everything has the place that plain
    Keras gives it; rule and optimizer are beside it, where those of a model itself are.
    """

    @property
    def _default_save_signature(self):
        return self.model._default_save_signature

    def _get_save_spec(self, dynamic_batch=True):
        # What TFLite's converter asks for where it has not found the inputs by itself.
        raise ValueError(
            f"`{type(self).__name__}` cannot be converted. Convert the model inside, once it is "
            "built: TFLiteConverter.from_keras_model(keras_zsharp.plain(model))"
        )

    def save_weights(self, filepath, *args, **kwargs):
        with self._with_its_own_beside() as model:
            model.save_weights(filepath, *args, **kwargs)

    def load_weights(self, filepath, *args, **kwargs):
        if ".weights." not in str(filepath):  # A file of the wrapper as a whole.
            super().load_weights(filepath, *args, **kwargs)
            return
        with self._with_its_own_beside() as model:
            model.load_weights(filepath, *args, **kwargs)

    @contextlib.contextmanager
    def _with_its_own_beside(self):
        # Keras saves and loads what it finds among an object's attributes.
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


def knows_the_arguments(get_config):
    """Whether it is Keras' own `get_config`, which has the arguments that the constructor had."""
    return python_utils.is_default(get_config)


def leave_arguments_to_keras(cls):
    """Has Keras take the `get_config` that `cls` inherits for its own, and add the arguments."""
    inherited = cls.get_config

    @functools.wraps(inherited)
    def get_config(self):
        return inherited(self)

    cls.get_config = python_utils.default(get_config)


def call_as(wrapper, model):
    """Has Keras call a wrapper as it calls the model: with `training`, if that takes it, uncast."""
    wrapper._call_has_training_arg = model._call_has_training_arg
    wrapper._convert_input_args = False
    wrapper._allow_non_tensor_positional_args = True


def call_inside(wrapper, model, *inputs, training, **kwargs):
    """Calls the model in a wrapper as the wrapper is called: with `training`, if that takes it.

    Keras hands it on by itself, but not where it calls a model's `call`.
    """
    if wrapper._call_has_training_arg:
        kwargs["training"] = training
    by_call = _called_by_call.get() is wrapper
    return _by_call(model, *inputs, **kwargs) if by_call else model(*inputs, **kwargs)


_called_by_call = contextvars.ContextVar("called by call", default=None)
"""The model whose `call` Keras' trainer calls: on JAX it does so, and inputs are not cast."""


@contextlib.contextmanager
def called_by_call(model):
    """Has a wrapper call the `call` of the model inside, too."""
    before = _called_by_call.set(model)
    try:
        yield
    finally:
        _called_by_call.reset(before)


def _by_call(model, *inputs, **kwargs):
    """What Keras' `stateless_call` computes, in whatever scope is open."""
    quantized = model.dtype_policy.quantization_mode is not None
    call = model.quantized_call if quantized else model.call
    with called_by_call(model):
        if getattr(model, "_remat_mode", None) is not None:  # Keras 3.8 has none.
            call = model.rematerialized_call(call, *inputs, **kwargs)
        return call(*inputs, **kwargs)


def replace_layer(model, old, new):
    """Has `model` track the layer `new` in the place of `old`, also once it is built."""
    model._tracker.replace_tracked_value("layers", old, new)


@contextlib.contextmanager
def unlocked(model):
    """Lets a model that is built track more layers and metrics."""
    tracker = model._tracker
    locked, tracker.locked = tracker.locked, False
    try:
        yield
    finally:
        tracker.locked = locked


def attributes_of(model):
    """Its attributes by name: on PyTorch, layers are not among its `vars`."""
    return {**vars(model), **vars(model).get("_modules", {})}


def remove_attribute(model, name):
    """Removes an attribute, and what Keras tracks by it."""
    model._tracker.untrack(attributes_of(model)[name])
    modules = vars(model).get("_modules", {})
    if name in modules:
        del modules[name]
    else:
        object.__delattr__(model, name)


unpickle_model = keras.Model._unpickle_model
"""What Keras copies and unpickles models by."""


def is_built(model):
    """Whether every layer of `model` has its variables."""
    return all(layer.built for layer in flat_layers(model))


def is_distributed(model):
    """Whether `model` was made under a distribution strategy."""
    return model._distribute_strategy is not None


def build(model, inputs):
    """Creates the variables of `model` from the shapes and dtypes of `inputs`; computes nothing."""
    backend.compute_output_spec(lambda x: forward(model, x), _symbolic(inputs))


def build_as_iterated(model, iterator):
    """The same from what Keras' epoch iterator is going to give, of which nothing is taken."""
    x, _, _ = keras.utils.unpack_x_y_sample_weight(iterator._distributed_dataset.element_spec)
    build(model, x)


def build_loss(model, x, y, sample_weight):
    """Creates the variables of the compiled loss from shapes and dtypes; computes nothing."""
    if model._compile_loss is not None and not model._compile_loss.built:
        batch = _symbolic((x, y, sample_weight))
        backend.compute_output_spec(lambda *batch: evaluation_loss(model, *batch), *batch)


def _symbolic(tensors):
    def symbolic(x):
        if x is None:
            return None
        return keras.KerasTensor(x.shape, keras.backend.standardize_dtype(x.dtype))

    return keras.tree.map_structure(symbolic, tensors)


def build_optimizer(model):
    """Creates the variables of the compiled optimizer, and of a rule, for a model that is built."""
    if not is_built(model):
        raise ValueError(
            "The model must be built before its state is restored: call it on a batch, or give "
            f"it its input shape. Received: model={model.name!r}"
        )
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    if hasattr(model, "perturbation"):
        model.perturbation.build(trained(model))


def start_at_epoch(model, epoch):
    """Has the `fit` that has just begun start with that epoch; with its own if it is None."""
    model._initial_epoch = epoch


def build_metrics(model, y, y_pred):
    """Creates the variables of the compiled metrics."""
    metrics = model._compile_metrics
    if metrics is not None and not metrics.built:
        metrics.build(y, y_pred)


def forward(model, x, training=True):
    """What Keras' trainer has a model predict, with `training` where it takes that.

    On JAX, that is by its `call`, which casts no inputs.
    """
    kwargs = {"training": training} if model._call_has_training_arg else {}
    on_jax = keras.backend.backend() == "jax" and is_built(model)
    return _by_call(model, x, **kwargs) if on_jax else model(x, **kwargs)


def compute_loss(model, x, y, y_pred, sample_weight, training=True):
    """`model.compute_loss`, also where it is overridden without the `training` argument."""
    return model._compute_loss(
        x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training
    )


def evaluation_loss(model, x, y, sample_weight):
    """The loss of a batch as `evaluate` computes it: without dropout, BatchNormalization fixed."""
    y_pred = forward(model, x, training=False)
    return compute_loss(model, x, y, y_pred, sample_weight, training=False)


def loss_tracker(model):
    """The metric behind the `loss` in the logs."""
    return model._loss_tracker


_MOMENTA = {
    keras.optimizers.SGD: ("momentums", -1),
    keras.optimizers.RMSprop: ("_momentums", 1),
    keras.optimizers.Adam: ("_momentums", 1),
    keras.optimizers.Adamax: ("_m", 1),
    keras.optimizers.Lion: ("_momentums", 1),
    keras.optimizers.Nadam: ("_momentums", 1),
}
"""Where optimizers keep their average of the gradients, and its sign."""


def momenta(optimizer, variables):
    """The averages of the gradients of `variables` that an optimizer keeps, as tensors.

    Up to a factor: that of SGD has the learning rate in it.
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


def assign_in_place(variable, value):
    """Assigns at once, whatever stateless scope is open."""
    variable._direct_assign(value)


def stored(variable):
    """The `tf.Variable` behind a Keras variable, whatever stateless scope is open."""
    return variable._value


@functools.cache
def set_in_training():
    """Names of the attributes that `compile` and `fit` set."""
    model = keras.Model()
    model.compile("sgd", "mse")
    return {"history", *vars(model)}


def training_methods():
    """Names of what trains, evaluates and compiles a `keras.Model`, and of what that reads of it.

    The latter are the properties that list its weights and losses.
    """
    trainers = [base for base in keras.Model.__mro__ if "trainer" in base.__module__]
    found = {name for base in trainers for name in vars(base) if not name.startswith("__")}
    read = re.compile("losses|.*(variables|weights)")
    for base in keras.Model.__mro__:
        properties = {name for name, value in vars(base).items() if isinstance(value, property)}
        found |= set(filter(read.fullmatch, properties))
    return found


def flat_layers(model):
    """The model, its layers, and theirs."""
    return list(model._flatten_layers())


def own_variables(layer):
    """The variables that a layer has itself, and not by another layer of its."""
    return list(layer._trainable_variables)


def own_metrics(model):
    """Those that a model has among its attributes, as plain Keras' training counts them."""
    return list(model._metrics)


def trained(model):
    """The variables that plain Keras' step trains."""
    on_jax = keras.backend.backend() == "jax"
    return model.trainable_variables if on_jax else model.trainable_weights


def read_around_scope(variables, tape):
    """Paths of those that `tape` saw themselves, and not what stood for them in a scope."""
    watched = {id(v) for v in tape.watched_variables()}
    return [v.path for v in variables if id(stored(v)) in watched]


class Scope(keras.StatelessScope):
    """A `keras.StatelessScope` that may do otherwise what Keras asks of it, by names of our own."""

    def get_current_value(self, variable):
        return self.read(variable)

    def add_update(self, update):
        self.write(*update)

    def read(self, variable):
        """What Keras is given for a variable: None if it stands for itself."""
        return self.stands_for(variable)

    def stands_for(self, variable):
        """What a variable stands for, without being read."""
        return self.state_mapping.get(id(variable))

    def write(self, variable, value):
        """Has a variable stand for another value from here on."""
        self.state_mapping[id(variable)] = value

    def take_out(self, variable):
        """What a variable stands for, which stands for itself from here on."""
        return self.state_mapping.pop(id(variable))


def of_any_backend(config):
    """A config in which optimizers are those of `keras.optimizers`.

    On PyTorch, Keras makes others of them, whose module no other backend can import.
    """
    if isinstance(config, dict):
        config = {name: of_any_backend(value) for name, value in config.items()}
        if str(config.get("module")).startswith("keras.src.backend.torch.optimizers."):
            config |= {"module": "keras.optimizers", "registered_name": None}
    elif isinstance(config, list):
        config = [of_any_backend(value) for value in config]
    return config


def is_overwritten(variable):
    """Whether an optimizer overwrites it with its "gradient": a scale of float8, no weight."""
    return getattr(variable, "overwrite_with_gradient", False)


def built_otherwise(layer):
    """Has a layer whose `build` takes something else than shapes: Keras would record these."""
    layer.__dict__.pop("build", None)


def never_compiled(model):
    """Has `jit_compile="auto"` mean False for a model."""
    model.supports_jit = False


def synced(model):
    """Has the variables of a model hold what it trains, also while JAX trains it.

    Its `fit` keeps them empty until the end of an epoch, unless it is asked.
    """
    if hasattr(model, "jax_state_sync") and not backend.in_stateless_scope():
        model.jax_state_sync()
