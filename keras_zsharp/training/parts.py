"""What may be cut into parts, and averaged over them. All else is refused, or the user says it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_zsharp.backend import room
from keras_zsharp.keras_internals import calling, tracking
from keras_zsharp.training.micro_batches import name as name_of
from keras_zsharp.typing import Batch, Nested

MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
_PASSES = room("passes").Passes
OF_ALL = ("circle",)
"""Keras' losses that compare the examples of a batch, whatever their arguments are."""


def cut_by(model: Any) -> str | None:
    """The option by which a step takes a batch in parts, or None. The model must have options."""
    if model.micro_batches > 1:
        return f"micro_batches={model.micro_batches}"
    # Under `tf.distribute`, plain Keras takes the parts of a batch, too.
    cuts = _PASSES.cuts_shares and model.perturbation_sync == "replica"
    if cuts and model.count_devices() > 1:
        return 'perturbation_sync="replica"'
    return _ascent(model)


def taken_in_parts(model: Any) -> str | None:
    """As `cut_by`, but for the shares of devices."""
    return cut_by(model) if model.micro_batches > 1 else _ascent(model)


def _ascent(model):
    return f"ascent_fraction={model.ascent_fraction}" if model.ascent_fraction < 1 else None


def are_cut(model: Any, batch: Batch) -> Nested:
    """Whether each tensor of a batch has an example in each row. None if no batch is cut.

    All targets and sample weights have. Inputs have if `batched_inputs` names them, if there is
    one, or if `fit` cuts arrays into batches.

    Args:
        model: A sharpness-aware model.
        batch: Tuple of inputs, targets and sample weights: nested structures of tensors, or None.

    Raises:
        ValueError: It is not clear what the examples are, or their numbers differ.
    """
    if not cut_by(model):
        return None
    leaves = [(path, x) for path, x in keras.tree.flatten_with_path(batch) if x is not None]
    leaves = [(path, x) for path, x in leaves if len(x.shape)]
    inputs = [path for path, _ in leaves if path[0] == 0]
    named = model.batched_inputs
    if named is None and len(inputs) > 1 and not model.inputs_are_arrays:
        raise ValueError(
            '`batched_inputs` must be "all" or name the inputs that have an example in each row, '
            f"where {cut_by(model)} cuts a batch that has several inputs. Received: "
            f"batched_inputs=None and the inputs {[name_of(path) for path in inputs]}"
        )
    every, names = named in (None, "all"), named or ()
    missing = [] if every else [n for n in names if not any(n in path[1:] for path in inputs)]
    if missing:
        raise ValueError(
            f"`batched_inputs` must name inputs of the model. Received: {missing} and the inputs "
            f"{[name_of(path) for path in inputs]}"
        )
    cut = {path: x for path, x in leaves if path[0] or every or any(n in path[1:] for n in names)}
    lengths = {name_of(path): _length(x) for path, x in cut.items()}
    if len(set(lengths.values()) - {None}) != 1 and set(lengths.values()) != {None}:
        raise ValueError(
            "`batched_inputs` must name the inputs that have an example in each row, as targets "
            f"and sample weights do: they have one length. Received: batched_inputs={named!r} and "
            f"{lengths}"
        )
    flags = [path in cut for path, _ in keras.tree.flatten_with_path(batch)]
    return keras.tree.pack_sequence_as(batch, flags)


def _length(x):
    return x.shape[0]


def check_pass(model: Any, y_pred: Nested, sample_weight: Nested, assigned: Sequence[Any]) -> None:
    """Refuses, once a pass over a part of a batch is computed, what cannot be averaged.

    Args:
        model: A sharpness-aware model.
        y_pred: Predictions for the part.
        sample_weight: Its sample weights, or None.
        assigned: The variables that layers have assigned in the pass.

    Raises:
        ValueError: The batch is cut, and there is such a loss, such state, or a prediction that
            cannot be joined.
    """
    if cut := cut_by(model):
        _check_rows(y_pred, cut)
        _check_loss(model, cut, y_pred, sample_weight)
        if cut == _ascent(model):  # The state is that of a pass over the whole batch.
            _check_weights(model, cut, assigned)
        else:
            _check_state(model, cut, assigned)


def _check_loss(model, cut, y_pred, sample_weight):
    """Refuses a loss that may not be the mean of the losses of its parts."""
    if not model.mean_of_parts:
        reasons = [*_methods(model), *_compiled(model, y_pred, sample_weight), *_added(model)]
        if any(calling.mask_of(p) is not None for p in _tensors(y_pred)):
            reasons.append("predictions with a mask, whose parts differ in what counts")
        if reasons:
            raise ValueError(
                "`mean_of_parts` must be True where the loss of a batch may not be the mean of the "
                "losses of its parts: then the step takes that mean. Or compile the losses of "
                "Keras with the reduction 'sum_over_batch_size', or take whole batches. "
                f"Received: mean_of_parts=False, {cut} and {'; '.join(reasons)}"
            )


def _check_rows(y_pred, cut):
    shapes = [tuple(p.shape) for p in _tensors(y_pred)]
    rows = {shape[0] if shape else "none" for shape in shapes} - {None}
    if len(rows) > 1 or "none" in rows:
        raise ValueError(
            "Predictions must have one example in each row, so that those for parts of a batch can "
            f"be joined, where {cut} cuts a batch. Received: predictions with the shapes {shapes}"
        )


def _tensors(y_pred):
    """A model may predict None, too."""
    return [p for p in keras.tree.flatten(y_pred) if p is not None]


def _methods(model):
    overridden = calling.overridden_losses(model)
    return [f"`{name}` overridden" for name in overridden]


def _compiled(model, y_pred, sample_weight):
    """Why the compiled losses may be no means."""
    rank = min((len(p.shape) for p in _tensors(y_pred)), default=1)
    weighted = any(w is not None for w in keras.tree.flatten(sample_weight))
    for loss in calling.flat_losses(model):
        name, reduction = loss.name, loss.reduction
        function = getattr(loss, "fn", loss)
        if not (tracking.is_own(loss) and tracking.is_own(function)):
            yield f"the loss {name!r}, which is not Keras' own"
        elif reduction not in MEANS:
            yield f"the loss {name!r} with reduction={reduction!r}"
        elif reduction == "mean_with_sample_weight" and weighted:
            yield f"the loss {name!r} with reduction={reduction!r} and sample weights"
        elif getattr(function, "__name__", name) in OF_ALL:
            yield f"the loss {name!r}, which is of the batch as a whole"
        elif _is_over_examples(axis := calling.loss_arguments(loss).get("axis", -1), rank):
            yield f"the loss {name!r} with axis={axis}, which has the batch's axis"
        elif getattr(loss, "ignore_class", None) is not None:
            yield f"the loss {name!r} with ignore_class={loss.ignore_class}"


def _is_over_examples(axis, rank):
    """Whether a loss is over the first axis. Of all predictions, the lowest rank counts."""
    return axis is None or any(a == 0 or (a < -1 and -a >= rank) for a in keras.tree.flatten(axis))


def _added(model):
    """The layers whose `call` adds losses, which may be sums over the batch."""
    names = [layer.name for layer in calling.layers_adding_losses(model)]
    return [f"losses that {names} add by `add_loss`"] if names else []


def _check_state(model, cut, assigned):
    """Refuses state that parts of a batch would leave otherwise than the batch.

    Seeds are known, and what Keras' own layers have: BatchNormalization's statistics are those of
    the parts.
    """
    known = {id(v) for v in tracking.state_of_own_layers(model)}
    # Neither seeds nor metrics are weights.
    weights = {id(v) for v in model.weights}
    # Micro-batches follow one another: what counts steps would count each of them.
    said = ("mean", "sum") if model.micro_batches > 1 else ("mean", "sum", "only_first_replica")
    unknown = [v for v in assigned if id(v) in weights - known and v.aggregation not in said]
    if unknown:
        raise ValueError(
            f"A layer that assigns variables in its `call` must say how the parts of a batch are "
            f"put together, `add_weight(..., aggregation=...)` with one of {said}, where {cut} "
            'cuts a batch: "sum" adds up what the parts add, "mean" is for statistics. '
            f"Received: {[(v.path, v.aggregation) for v in unknown]}"
        )


def _check_weights(model, cut, assigned):
    """Refuses weights that a layer sets from the examples: those of a part would stay."""
    kind = keras.layers.SpectralNormalization  # It looks at no example.
    known = {id(la.kernel) for la in tracking.flat_layers(model) if isinstance(la, kind)}
    trained = {id(v) for v in tracking.trained(model)} - known
    weights = [v.path for v in assigned if id(v) in trained]
    if weights:
        raise ValueError(
            f"A layer must not assign weights of its own where {cut} cuts a batch: they would be "
            f"those of the first examples. Received: {weights} assigned"
        )


def check_layers(model: Any) -> None:
    """Refuses layers that keep a state for each example of a batch, before a step."""
    if not (cut := cut_by(model)):
        return
    stateful = [la.name for la in tracking.flat_layers(model) if getattr(la, "stateful", 0)]
    if stateful:
        raise ValueError(
            "Layers must not be `stateful`, with a state for each example of a whole batch, where "
            f"{cut} cuts the batch. Received: {stateful}"
        )
