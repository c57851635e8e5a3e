"""What this library needs of Keras that has no public name: what a new release may break."""

import keras
from keras.src import backend
from keras.src.losses.loss import unscale_loss_for_distribution as unscale_loss

__all__ = [
    "assign_in_place",
    "build",
    "compute_loss",
    "forward",
    "is_built",
    "loss_tracker",
    "stored",
    "unscale_loss",
]


def is_built(model):
    """Whether every layer of `model` has its variables."""
    return all(layer.built for layer in model._flatten_layers())


def build(model, inputs):
    """Creates the variables of `model` from the shapes and dtypes of `inputs`; computes nothing."""

    def symbolic(x):
        if x is None:
            return None
        return keras.KerasTensor(x.shape, keras.backend.standardize_dtype(x.dtype))

    symbolic_inputs = keras.tree.map_structure(symbolic, inputs)
    backend.compute_output_spec(lambda x: forward(model, x), symbolic_inputs)


def forward(model, x):
    """`model(x, training=True)`, also where its `call` has no `training` argument."""
    return model(x, training=True) if model._call_has_training_arg else model(x)


def compute_loss(model, x, y, y_pred, sample_weight):
    """`model.compute_loss`, also where it is overridden without the `training` argument."""
    return model._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)


def loss_tracker(model):
    """The metric behind the `loss` in the logs."""
    return model._loss_tracker


def assign_in_place(variable, value):
    """Assigns at once, whatever stateless scope is open."""
    variable._direct_assign(value)


def stored(variable):
    """The `tf.Variable` behind a Keras variable, whatever stateless scope is open."""
    return variable._value
