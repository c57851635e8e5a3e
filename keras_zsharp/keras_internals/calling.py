"""How Keras calls models, and computes their losses and metrics."""

from __future__ import annotations

import functools
from typing import Any

import keras
from keras.src import backend
from keras.src.backend.common import masking
from keras.src.losses import loss as losses
from keras.src.utils import python_utils

from keras_zsharp.keras_internals.tracking import attributes_of, flat_layers, is_own
from keras_zsharp.ops import size_of
from keras_zsharp.typing import Batch, Logs, Nested, Tensor

mask_of = masking.get_keras_mask
"""The mask of a tensor that losses and metrics leave out, or None."""

unscale_loss = losses.unscale_loss_for_distribution
"""The loss of a batch, from that of a replica's part of it."""


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
    if hasattr(model, "call_signature_parameters"):  # Keras 3.8 has none.
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


def build(model: keras.Model, inputs: Nested) -> None:
    """Creates the variables of `model` from the shapes and dtypes of `inputs`."""
    backend.compute_output_spec(lambda x: forward(model, x), _symbolic(inputs))


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


def loss_arguments(loss: keras.Loss) -> dict[str, Any]:
    """What a loss hands to its function. Its config need not have it: that of `Huber` has none."""
    return dict(getattr(loss, "_fn_kwargs", {}))


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
        masking.set_keras_mask(tensor, mask)
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


AVERAGES_ACTIVITY = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 14)
"""Whether Keras divides the loss of an `activity_regularizer` by the number of examples."""

_SUMS = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)


def layers_adding_losses(model: Any) -> list[keras.Layer]:
    """The layers whose `call` has added losses in a stateless scope that may be no means.

    Keras' own layers add sums over their outputs for `activity_regularizer`.
    """

    def adds_means(layer):
        regularizer = type(layer.activity_regularizer)
        return AVERAGES_ACTIVITY and is_own(layer) and regularizer in _SUMS

    return [layer for layer in flat_layers(model) if layer._loss_ids and not adds_means(layer)]
