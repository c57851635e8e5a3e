from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Generic, Literal, TypeVar, overload

from keras_zsharp.checks import (
    count_or_share,
    did_you_mean,
    flag,
    number,
    one_of,
    positive_int,
)
from keras_zsharp.training import chosen
from keras_zsharp.typing import BatchedInputs, Config, PerturbOnly

Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True)
class StepOptions:
    """The options of the training step. They are checked, documented and saved here.

    Whatever trains sharpness-aware takes them as arguments and has them as attributes. An option
    can be set while the model trains, also by a callback. It holds from the next step on.

    - `perturb_from=n` takes plain steps until `optimizer.iterations` is n. A plain step is the
      optimizer's own: it takes one pass. The iterations are counted from 0 and saved with the
      optimizer. Perturbing late in training has most of the effect. A float within (0, 1) is a
      share of `fit`: with `perturb_from=0.7`, the last 30 % of the steps of all its `epochs` may
      perturb. `fit` must know the number of batches of an epoch.
    - `perturb_every=k` perturbs at every k-th step from there on, and takes plain steps between. A
      step takes `1 + 1/k` passes on average instead of 2, and pulls the weights less towards flat
      regions.

      A step whose radius is 0 is plain, too. A plain step does not call the rule: the rule's
      averages stay as they are. The rule's schedules count all steps of the optimizer, as these
      options do: with `gradient_accumulation_steps=2` and `perturb_every=2`, batches are perturbed,
      perturbed, plain, plain. `sharpness` is the mean over
      the perturbed steps, and 0 in an epoch without any. On TensorFlow under XLA **on a CPU** (not
      Keras' default there), convolutions of a perturbed step run many times slower if other steps
      may be plain.
    - `perturb_only` chooses the weights that are perturbed. The rule gets no gradients of the other
      weights, and its norms are over the chosen ones. `"normalization"` chooses the gains and
      offsets of normalization layers: perturbing them alone is often better (SAM-ON, Mueller et
      al., NeurIPS 2023, with larger radii). Such layers are those of Keras and their subclasses,
      and layers whose class has the word `Norm` or `Normalization` in its name and no weights of
      rank 2 or more. `"kernels"` chooses the variables of rank 2 or more that are no biases.
      `"lora"` chooses the factors of layers on which LoRA is enabled. Any other string is a regular
      expression that is searched in a variable's path, such as `"head"`. A function takes a
      variable and returns whether it is chosen. The optimizer trains all weights, and the second
      pass costs as much as without.
    - `ascent_fraction=f` takes the clean pass, which only shows the direction of the ascent, over
      the first `ceil(f n)` of the n examples of a batch (of each micro-batch, and of each device's
      share). The second pass takes all of them. Such a step costs `1 + f` passes instead of 2; a
      plain step takes one pass over all. The radius that suits is larger than that of the whole
      batch. Shuffle the data: the first examples of a sorted batch are a biased part of it.

      Loss and metrics are those of the clean pass, as ever: at w, of these examples. They vary
      more, and their means over an epoch weigh each batch by the examples that this pass has seen:
      a plain step, which sees all, counts more. `sharpness` is the mean of `L(w + e)` over all
      examples minus `L(w)` over these. BatchNormalization's statistics, and what other layers
      assign or keep, are those of the second pass, over the whole batch at w + e. Dropout masks
      differ between the passes, whose sizes differ.

      The batch is cut as `micro_batches` cuts it. Rules are refused that take one pass, or hand the
      optimizer gradients at w. So is one program of XLA in which some steps are plain: on
      TensorFlow with `jit_compile=True`, on JAX with `steps_per_execution` above 1.
    - `micro_batches=k` splits the batch into k micro-batches of consecutive examples. Each has its
      own perturbation. The optimizer gets the mean of their second gradients, weighted by their
      sizes. This is the SAM paper's m-sharpness, where m is the number of examples in a
      micro-batch.

      Smaller micro-batches have noisier gradients and a larger sharpness. BatchNormalization
      normalizes every micro-batch by itself, and updates its statistics k times. The rule's state
      is the mean over the micro-batches. The step takes as many passes over each example as before.
      Its graph holds k copies of them and takes as much longer to compile.
    - `batched_inputs` and `mean_of_parts` are for steps that cut a batch: with `micro_batches` or
      `ascent_fraction`, and with `perturbation_sync="replica"` on JAX. At radius 0 such a step is
      the plain one over the whole batch, or it is refused: a layer must not be `stateful`, and one
      that assigns variables must give them an `aggregation`.

      Targets and sample weights are cut. So is a model's only input, and all inputs if `fit` cuts
      arrays into batches. Of other data with several inputs, `batched_inputs` names those with an
      example in each row: `"all"`, or keys and positions such as `["words", 0]`. The others, such
      as a memory bank, go to every part.

      The losses of Keras are means over the examples of a batch, with the default reduction. Other
      losses may be sums, or compare examples: those of your own, an overridden `compute_loss`,
      `add_loss` in a layer, predictions with a mask. `mean_of_parts=True` says that the step is to
      take the mean of the parts' losses, whatever they are.
    - `skip_nonfinite`: the loss or gradients of a batch may be infinite or NaN. In float16, a loss
      scale that is too large has this effect. `True` skips such a step as a whole, whether it
      happens in the first or second pass: weights, optimizer (with its `iterations`), rule and
      BatchNormalization statistics stay as they are. A `LossScaleOptimizer` halves its scale, down
      to 2^-16: Keras alone halves it down to 0, with which no step is taken any more. The logs have
      `skipped`, the number of skipped steps of the epoch. 40 in a row are warned of, at the end of
      the epoch. The logged `loss` includes the skipped steps and may be NaN. `sharpness` is the
      mean over the other steps. `False` does what plain Keras does: a `LossScaleOptimizer` keeps
      the weights, and any other optimizer applies the gradients.
    - `perturbation_sync` is for several devices. With `"replica"`, each device computes its own
      perturbation from its share of the batch, as in the SAM paper: m is the number of examples in
      a share. With `"global"`, all use the one perturbation that a single device would compute.
      `None` takes the cheaper one: `"replica"` under `tf.distribute.MirroredStrategy` or
      `MultiWorkerMirroredStrategy`, `"global"` under `keras.distribution` on JAX. There,
      `"replica"` needs a `DataParallel`.

    Args:
        perturb_every: int >= 1, the steps from one perturbation to the next.
        micro_batches: int >= 1, the number of micro-batches in a batch. If a batch has fewer
            examples, micro-batches share some. Each example has the weight of one.
        skip_nonfinite: Whether to skip steps whose loss or gradients are not finite. None skips
            them if the optimizer is a `LossScaleOptimizer`, which `compile` makes for
            `mixed_float16`.
        perturbation_sync: `"replica"`, `"global"` or None.
        perturb_from: int >= 0, the steps before the first perturbation, or a float within (0, 1),
            their share of `fit`.
        perturb_only: A name, a regular expression, a function of a variable, or None for all
            weights.
        batched_inputs: `"all"`, a list of keys and positions, or None.
        mean_of_parts: Whether to take the mean of the parts' losses also where that may not be the
            loss of the batch.
        ascent_fraction: float in (0, 1], the fraction of a batch that the clean pass takes.

    Raises:
        TypeError, ValueError: `perturb_every` or `micro_batches` is no int >= 1; `perturb_from` is
            no int >= 0 and no float within (0, 1); `ascent_fraction` is not in (0, 1];
            `skip_nonfinite` is no bool or None; `perturbation_sync` is neither `"replica"`,
            `"global"` nor None; `perturb_only` is none of the above; `batched_inputs` is neither
            `"all"`, a list of strings and ints nor None; `mean_of_parts` is no bool. Before
            training: `perturb_only` chooses no weight; a batch that is cut has inputs, a loss or
            layers as above; a share or a fraction is one that `fit`, the rule or the program does
            not allow.
    """

    perturb_every: int = 1
    micro_batches: int = 1
    skip_nonfinite: bool | None = None
    perturbation_sync: Literal["replica", "global"] | None = None
    perturb_from: int | float = 0
    perturb_only: PerturbOnly = None
    batched_inputs: BatchedInputs = None
    mean_of_parts: bool = False
    ascent_fraction: float = 1.0

    def __post_init__(self) -> None:
        for name in ("perturb_every", "micro_batches"):
            object.__setattr__(self, name, positive_int(name, getattr(self, name)))
        object.__setattr__(self, "perturb_from", _step_or_share(self.perturb_from))
        if self.skip_nonfinite is not None:
            checked = flag("skip_nonfinite", self.skip_nonfinite, " or None")
            object.__setattr__(self, "skip_nonfinite", checked)
        if self.perturbation_sync is not None:
            one_of("perturbation_sync", self.perturbation_sync, "replica", "global")
        object.__setattr__(self, "perturb_only", chosen.get(self.perturb_only))
        object.__setattr__(self, "batched_inputs", _names(self.batched_inputs))
        object.__setattr__(self, "mean_of_parts", flag("mean_of_parts", self.mean_of_parts))
        object.__setattr__(self, "ascent_fraction", _fraction(self.ascent_fraction))

    def to_config(self) -> Config:
        """Makes a config that Keras can save.

        Returns:
            A dict, such that `StepOptions(**config)` has the same options.
        """
        config = {name: getattr(self, name) for name in NAMES}
        return {**config, "perturb_only": chosen.to_config(self.perturb_only)}


def _fraction(ascent_fraction):
    return number("ascent_fraction", ascent_fraction, "in (0, 1]", lambda value: 0 < value <= 1)


def _step_or_share(perturb_from):
    """`perturb_from`, an int or a float within (0, 1)."""
    bound = "an int >= 0, or a float within (0, 1), a share of training"
    return count_or_share("perturb_from", perturb_from, bound, lambda share: 0 < share < 1)


def _names(batched_inputs):
    """`batched_inputs` with a tuple for a list."""
    if batched_inputs is None or (isinstance(batched_inputs, str) and batched_inputs == "all"):
        return batched_inputs
    names = batched_inputs if isinstance(batched_inputs, list | tuple) else ()
    if not names or not all(type(name) in (str, int) for name in names):
        raise TypeError(
            '`batched_inputs` must be None, "all" or a list of keys and positions of inputs. '
            f"Received: batched_inputs={batched_inputs!r}"
        )
    return tuple(names)


NAMES = tuple(field.name for field in dataclasses.fields(StepOptions))


def taken_from(arguments: dict[str, Any]) -> StepOptions:
    """Takes the options out of keyword arguments, and leaves the others."""
    return StepOptions(**{name: arguments.pop(name) for name in NAMES if name in arguments})


def hint(received: Iterable[str]) -> str:
    """The end of an error about arguments that neither Keras nor a class of a user's has."""
    return next(filter(None, (did_you_mean(name, NAMES) for name in received)), "")


class Option(Generic[Value]):
    """A field of a model's `step_options` as an attribute of the model. It can always be set."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, model: None, owner: type | None = None) -> Option[Value]: ...

    @overload
    def __get__(self, model: Any, owner: type | None = None) -> Value: ...

    def __get__(self, model, owner=None):
        return self if model is None else getattr(model.step_options, self._name)

    def __set__(self, model: Any, value: Value) -> None:
        model.step_options = dataclasses.replace(model.step_options, **{self._name: value})
