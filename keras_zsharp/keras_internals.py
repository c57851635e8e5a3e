"""What this library needs of Keras and TensorFlow that has no public name.

A new release may break it, and nothing else.
"""

import contextlib
import functools
import operator
import re

import keras
import tensorflow as tf
from keras.src import backend
from keras.src.losses.loss import unscale_loss_for_distribution as unscale_loss
from keras.src.utils import python_utils
from tensorflow.python.eager import tape as tapes
from tensorflow.python.util import object_identity

__all__ = [
    "BuiltFromABatch",
    "FilesOfItsModel",
    "TensorAsVariable",
    "assign_in_place",
    "build",
    "build_as_iterated",
    "build_loss",
    "build_metrics",
    "build_optimizer",
    "call_as",
    "compute_loss",
    "evaluation_loss",
    "flat_layers",
    "forward",
    "is_built",
    "is_distributed",
    "knows_the_arguments",
    "leave_arguments_to_keras",
    "loss_tracker",
    "outside_of_graph",
    "own_metrics",
    "read_around_scope",
    "remove_attribute",
    "replace_layer",
    "set_in_training",
    "spans_workers",
    "start_at_epoch",
    "stored",
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
        own = {n: vars(self)[n] for n in ("perturbation", "optimizer") if n in vars(self)}
        attributes = vars(self.model)
        before = {name: attributes[name] for name in own if name in attributes}
        attributes.update(own)
        try:
            yield self.model
        finally:
            for name in own:
                del attributes[name]
            attributes.update(before)


@contextlib.contextmanager
def outside_of_graph():
    """Creates variables as if no graph were being traced.

    TensorFlow traces a function a second time if variables were created in its first trace, even
    in a `tf.init_scope`. Under a distribution strategy that is what is left.
    """
    if tf.distribute.has_strategy():
        with tf.init_scope():
            yield
    else:
        with tf.Graph().as_default(), tf.__internal__.eager_context.eager_mode():
            yield


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


def remove_attribute(model, name):
    """Removes an attribute, and what Keras tracks by it."""
    model._tracker.untrack(model.__dict__[name])
    object.__delattr__(model, name)


unpickle_model = keras.Model._unpickle_model
"""What Keras copies and unpickles models by."""


def is_built(model):
    """Whether every layer of `model` has its variables."""
    return all(layer.built for layer in flat_layers(model))


def is_distributed(model):
    """Whether `model` was made under a distribution strategy."""
    return model._distribute_strategy is not None


def spans_workers(strategy):
    """Whether a distribution strategy has several workers."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and (
        strategy.extended._in_multi_worker_mode()
    )


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
    """`model(x, training=...)`, also where its `call` has no `training` argument."""
    return model(x, training=training) if model._call_has_training_arg else model(x)


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


def assign_in_place(variable, value):
    """Assigns at once, whatever stateless scope is open."""
    variable._direct_assign(value)


class TensorAsVariable(tf.Variable, tf.__internal__.types.Tensor):
    """A tensor that TensorFlow takes for the variable whose value it is.

    `tf.custom_gradient` and `tf.recompute_grad` ask the tapes for the variables that were read, and
    differentiate by them.

    Args:
        name: Of the variable, for errors.
        tensor: A dense tensor.
    """

    trainable = True
    _should_act_as_resource_variable = True

    def __init__(self, name, tensor):
        self._name, self._tensor = name, tensor
        self._dtype, self._shape = tensor.dtype, tensor.shape

    # TensorFlow reads these in C++, where an interrupt of Python's would be a SystemError.
    name = property(operator.attrgetter("_name"))
    handle = property(operator.attrgetter("_tensor"))
    """What a tape watches for a variable."""
    dtype = property(operator.attrgetter("_dtype"))
    shape = property(operator.attrgetter("_shape"))

    def value(self):
        return self._tensor

    def ref(self):
        return object_identity.Reference(self)

    def accessed(self):
        """Tells the tapes that the variable was read."""
        tapes.variable_accessed(self)

    def __repr__(self):
        return f"<{self.name}: {self._tensor}>"


tf.register_tensor_conversion_function(
    TensorAsVariable, lambda variable, dtype=None, name=None, as_ref=False: variable.value()
)


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


def own_metrics(model):
    """Those that a model has among its attributes, as plain Keras' training counts them."""
    return list(model._metrics)


def trained(model):
    """The variables that plain Keras' step trains."""
    return model.trainable_weights


def read_around_scope(variables, tape):
    """Paths of those that `tape` saw themselves, and not what stood for them in a scope."""
    watched = {id(v) for v in tape.watched_variables()}
    return [v.path for v in variables if id(stored(v)) in watched]
