import dataclasses

from keras_zsharp.checks import count, one_of, positive_int
from keras_zsharp.training import chosen


@dataclasses.dataclass(frozen=True)
class StepOptions:
    """The settings of the training step, beside its rule: checked, documented and saved here.

    They are arguments of whatever trains sharpness-aware, and its attributes. One that is set while
    the model trains, also from a callback, holds from the next step on.

    - `perturb_from=n` takes plain steps of the optimizer, of one pass each, until
      `optimizer.iterations` (counted from 0, saved with the optimizer) is n: the late phase of
      training has most of the effect. `perturb_every=k` perturbs every k-th step from there on,
      and takes plain steps between: a step costs `1 + 1/k` passes on average instead of 2, and the
      weights are drawn to flat regions less. A step whose radius is 0 is plain, too.
      On plain steps the rule is not called: its averages stand still. Its schedules go on: they
      count all steps. `sharpness` is the mean over the perturbed steps, 0 where an epoch has none.
      On TensorFlow under XLA **on a CPU** (not Keras' default there) convolutions of a step that
      may be plain run many times slower where it perturbs.
    - `perturb_only` chooses the weights that are perturbed: the rule is given no gradient of the
      others, so that norms are over those that are chosen. `"normalization"` are the gains and
      offsets of normalization layers, which alone often do better than all (SAM-ON, Mueller et al.,
      NeurIPS 2023, with larger radii); `"kernels"` are the variables of rank 2 or more that are no
      biases; `"lora"` are LoRA's. Any other string is a regular expression, looked for in a
      variable's path, such as `"head"`; a function takes a variable and says whether it is chosen.
      The optimizer trains all of them: the second pass costs what it costs without.
    - `micro_batches=m` splits the batch into m parts of consecutive examples; an input that has not
      the length of the targets, such as a memory bank, goes to every part. Each has a
      perturbation of its own, and the optimizer gets the mean of their second gradients, weighted
      by their sizes: the m-sharpness of the SAM paper, as m devices would compute it. Smaller
      parts have noisier gradients, and their sharpness is larger. BatchNormalization normalizes
      every part by itself and moves its statistics m times; the rule's state is the mean of what
      the parts make of it. The loss must be a mean over the batch, Keras' default. The step takes
      as many passes over each example as before, but a graph holds m copies of them and takes as
      much longer to compile.
    - `skip_nonfinite`: loss and gradients of a batch may be infinite or NaN; in float16, that is
      how too large a loss scale shows. `True` skips such a step as a whole, whichever pass it
      happens in: weights, optimizer (its `iterations` too), rule and BatchNormalization statistics
      stay as they are, and a `LossScaleOptimizer` halves its scale. The logged `loss` is what it
      is, maybe NaN; `sharpness` is the mean over the other steps. `False` does what plain Keras
      does: a `LossScaleOptimizer` keeps the weights, all else takes what comes.
    - `perturbation_sync`, on several devices: `"replica"` gives each its own perturbation, from its
      part of the batch, as in the SAM paper (m-sharpness); `"global"` gives all the one that a
      single device would have. `None` is what takes nothing more than the backend does by itself:
      `"replica"` under `tf.distribute.MirroredStrategy` or `MultiWorkerMirroredStrategy`,
      `"global"` under `keras.distribution` on JAX. `"replica"` is for its `DataParallel`.

    Args:
        perturb_every: int >= 1, the steps from one perturbation to the next.
        micro_batches: int >= 1, the parts of a batch. In a batch with fewer examples, parts may
            share an example, which counts once.
        skip_nonfinite: Whether to skip steps whose loss or gradients are not finite. None: where
            the optimizer is a `LossScaleOptimizer`, as `compile` makes it for `mixed_float16`.
        perturbation_sync: `"replica"`, `"global"` or None.
        perturb_from: int >= 0, the steps before the first perturbation.
        perturb_only: A name, a regular expression, a function of a variable, or None for all.

    Raises:
        TypeError, ValueError: `perturb_every` or `micro_batches` is no int >= 1; `perturb_from` is
            no int >= 0; `skip_nonfinite` is no bool or None; `perturbation_sync` is neither
            `"replica"`, `"global"` nor None; `perturb_only` is none of what it may be. Before
            training: it chooses no weight.
    """

    perturb_every: int = 1
    micro_batches: int = 1
    skip_nonfinite: bool | None = None
    perturbation_sync: str | None = None
    perturb_from: int = 0
    perturb_only: object = None

    def __post_init__(self):
        for name in ("perturb_every", "micro_batches"):
            object.__setattr__(self, name, positive_int(name, getattr(self, name)))
        object.__setattr__(self, "perturb_from", count("perturb_from", self.perturb_from))
        if not isinstance(self.skip_nonfinite, bool | None):
            raise TypeError(
                "`skip_nonfinite` must be None, True or False. "
                f"Received: skip_nonfinite={self.skip_nonfinite!r}"
            )
        if self.perturbation_sync is not None:
            one_of("perturbation_sync", self.perturbation_sync, "replica", "global")
        object.__setattr__(self, "perturb_only", chosen.get(self.perturb_only))

    def to_config(self):
        """What `StepOptions(**config)` takes, and Keras can save."""
        config = {name: getattr(self, name) for name in NAMES}
        return {**config, "perturb_only": chosen.to_config(self.perturb_only)}


NAMES = tuple(field.name for field in dataclasses.fields(StepOptions))


def taken_from(arguments):
    """The options among keyword arguments, of which nothing but the others is left."""
    return StepOptions(**{name: arguments.pop(name) for name in NAMES if name in arguments})


class Option:
    """A field of a model's `step_options` as an attribute of the model, to be set at any time."""

    def __set_name__(self, owner, name):
        self._name = name

    def __get__(self, model, owner=None):
        return self if model is None else getattr(model.step_options, self._name)

    def __set__(self, model, value):
        model.step_options = dataclasses.replace(model.step_options, **{self._name: value})
