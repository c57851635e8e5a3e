import keras

from keras_zsharp import _keras, perturbations
from keras_zsharp.arguments import one_of, positive_int
from keras_zsharp.training import multi_worker, seeds
from keras_zsharp.training.checks import check_devices
from keras_zsharp.training.tensorflow import TwoPassStep


class SharpnessAwareTraining(TwoPassStep, _keras.BuiltFromABatch):
    """Mixin that trains a `keras.Model` subclass sharpness-aware: every step takes two passes.

    1. Loss and gradients at w, the clean pass.
    2. The rule turns the gradients into a perturbation e(w).
    3. Loss and gradients at w + e(w).
    4. The optimizer applies the second gradients to w.

    Nothing is written before both passes are through, and the weights never leave w: an exception
    or an interrupt in the middle leaves the model as it was. What the logs show is the clean pass:
    loss, metrics, BatchNormalization statistics; besides them `sharpness`, the mean of
    `L(w + e) - L(w)`. Both passes see the same dropout and augmentation noise.

    List the mixin before `keras.Model`, and hand `perturbation` on to `super().__init__`. Do not
    construct the class functionally (`Net(inputs, outputs)`): wrap such a model in
    `SharpnessAwareModel` instead.

    Side effects outside of Keras variables, such as a `tf.Variable` that a layer updates by hand,
    happen in both passes. Seeds that a graph draws from within a loop (dropout in a custom RNN
    cell) move on in place, also where the step fails.

    The step cannot look into a layer whose `call` is a `tf.function` of its own: traced before, it
    keeps the weights it was traced with and assigns its state in both passes. Such a layer raises
    an error where it can be noticed; one that was traced before the model was built, or that only
    assigns state, may go unnoticed. `keras.RematScope` is not supported.

    Two arguments change what is computed. Both are honest about it:

    - `perturb_every=k` perturbs only where `optimizer.iterations` (counted from 0, saved with the
      optimizer) is a multiple of k, and takes plain steps of the optimizer between: a step costs
      `1 + 1/k` passes on average instead of 2, and the weights are drawn to flat regions less.
      On plain steps the rule is not called: its averages and schedules stand still. `sharpness`
      is the mean over the perturbed steps, 0 where an epoch has none. Under XLA **on a CPU** (not
      Keras' default there) convolutions in the branch that is taken run many times slower.
    - `micro_batches=m` splits the batch into m parts of consecutive examples. Each has a
      perturbation of its own, and the optimizer gets the mean of their second gradients, weighted
      by their sizes: the m-sharpness of the SAM paper, as m devices would compute it. Smaller
      parts have noisier gradients, and their sharpness is larger. BatchNormalization normalizes
      every part by itself and moves its statistics m times; the rule's state is the mean of what
      the parts make of it. The loss must be a mean over the batch, Keras' default. The step takes
      as many passes over each example as before, but a graph holds m copies of them and takes as
      much longer to compile.

    Loss and gradients of a batch may be infinite or NaN: in float16, that is how too large a loss
    scale shows. `skip_nonfinite=True` skips such a step as a whole, whichever pass it happens in:
    weights, optimizer (its `iterations` too), rule and BatchNormalization statistics stay as they
    are, and a `LossScaleOptimizer` halves its scale. The logged `loss` is what it is, maybe NaN;
    `sharpness` is the mean over the other steps. `False` does what plain Keras does: a
    `LossScaleOptimizer` keeps the weights, all else takes what comes.

    Args:
        perturbation: A rule, such as `keras_zsharp.ZSharp(rho=0.05)`, or its name.
        perturb_every: int >= 1, the steps from one perturbation to the next.
        micro_batches: int >= 1, the parts of a batch. In a batch with fewer examples, parts may
            share an example, which counts once.
        skip_nonfinite: Whether to skip steps whose loss or gradients are not finite. None: where
            the optimizer is a `LossScaleOptimizer`, as `compile` makes it for `mixed_float16`.
        perturbation_sync: On several devices, under `tf.distribute.MirroredStrategy` or
            `MultiWorkerMirroredStrategy`: `"replica"` gives each its own perturbation, from its
            part of the batch, as in the SAM paper (m-sharpness); `"global"` averages the gradients
            first, so that all have the one that a single device would have.
        **kwargs: Passed on to `keras.Model`.

    Raises:
        TypeError, ValueError: `perturbation` is no rule, or belongs to another model;
            `perturb_every` or `micro_batches` is no int >= 1; `skip_nonfinite` is no bool or None;
            `perturbation_sync` is neither `"replica"` nor `"global"`. Before training on several
            devices: `gradient_accumulation_steps`, `steps_per_execution > 1` or, on CPUs,
            `jit_compile=True`, which fail there in plain Keras too.
        RuntimeError: Keras runs on another backend than TensorFlow.

    Example:

    >>> import keras
    >>> import keras_zsharp
    >>> class Net(keras_zsharp.SharpnessAwareTraining, keras.Model):
    ...     def __init__(self, perturbation="zsharp", **kwargs):
    ...         super().__init__(perturbation=perturbation, **kwargs)
    ...         self.dense = keras.layers.Dense(10)
    ...
    ...     def call(self, inputs):
    ...         return self.dense(inputs)
    >>> net = Net(perturbation="sam")
    >>> net.compile(optimizer="adamw", loss="mse")
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        bases = cls.__mro__
        if keras.Model in bases and bases.index(keras.Model) < bases.index(SharpnessAwareTraining):
            raise TypeError(
                "`SharpnessAwareTraining` must come before `keras.Model` in the bases of "
                f"`{cls.__name__}`: class {cls.__name__}(SharpnessAwareTraining, keras.Model)"
            )

    def __init__(
        self,
        *args,
        perturbation="zsharp",
        perturb_every=1,
        micro_batches=1,
        skip_nonfinite=None,
        perturbation_sync="replica",
        **kwargs,
    ):
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                "keras_zsharp trains on Keras' TensorFlow backend. Set KERAS_BACKEND=tensorflow "
                f"before importing keras. Received: backend {keras.backend.backend()!r}"
            )
        if args or "inputs" in kwargs or "outputs" in kwargs:
            raise TypeError(
                f"`{type(self).__name__}` cannot be constructed functionally. Build "
                "`keras.Model(inputs, outputs)` and wrap it in `SharpnessAwareModel`."
            )
        super().__init__(**kwargs)
        self.perturb_every = positive_int("perturb_every", perturb_every)
        self.micro_batches = positive_int("micro_batches", micro_batches)
        if not isinstance(skip_nonfinite, bool | None):
            raise ValueError(
                "`skip_nonfinite` must be None, True or False. "
                f"Received: skip_nonfinite={skip_nonfinite!r}"
            )
        self.skip_nonfinite = skip_nonfinite
        self.perturbation_sync = one_of("perturbation_sync", perturbation_sync, "replica", "global")
        self.perturbation = perturbations.get(perturbation)
        self.perturbation.belong_to(self)
        self.sharpness_tracker = keras.metrics.Mean(name="sharpness")

    def ascent_gradients(self, gradients, variables):
        """What the rule is given, in each step that perturbs: the gradients at w.

        Override it to perturb along others; the optimizer is still given what the second pass over
        the batch finds.

        Args:
            gradients: List of dense gradients of the batch's loss at w, or of a part's with
                `micro_batches`, not scaled. None where the loss does not depend on a variable.
            variables: List of the trainable variables, which read as w.

        Returns:
            List of tensors with the gradients' shapes and dtypes, None for None.
        """
        return gradients

    def make_train_function(self, force=False):
        check_devices(self)
        return super().make_train_function(force)

    def train_step(self, data):
        return multi_worker.as_vectors(self.distribute_strategy, super().train_step(data))

    def test_step(self, data):
        logs = super().test_step(data)
        # Only training measures it.
        logs.pop(self.sharpness_tracker.name, None)
        return multi_worker.as_vectors(self.distribute_strategy, logs)

    def _before_building(self, iterator, data_batch):
        strategy = self.distribute_strategy
        if iterator is not None and _keras.spans_workers(strategy):
            return None, multi_worker.first_batch(strategy, iterator)
        if iterator is not None and not self.built and not _keras.is_distributed(self):
            # Keras would wait for the first step, too late for callbacks that restore weights.
            _keras.build_as_iterated(self, iterator)
        return iterator, data_batch

    def save_own_variables(self, store):
        super().save_own_variables(store)
        seeds.save(self, store)

    def load_own_variables(self, store):
        super().load_own_variables(seeds.without(store))
        seeds.load(self, store)

    def build_from_config(self, config):
        super().build_from_config(config)
        # Keras builds the layers but leaves the flag, and would then drop the optimizer's state.
        self.built = self.built or all(layer.built for layer in self.layers)
