"""How many passes over the examples of a batch a step takes, counted while it runs."""

import keras
import pytest

from keras_zsharp import MSAM, SAM, LookSAM, RandomSAM, SharpnessAwareModel, ZSharp
from tests.backends import networks

pytestmark = pytest.mark.matrix
BACKEND = keras.backend.backend()
MODES = {"default": {}, "eager": {"run_eagerly": True}}
STEPS = 6


class Counting(keras.layers.Layer):
    """Counts the examples that it sees: in a graph, by a call back into Python.

    The counts are the class's: both passes find a layer's own attributes as they were.
    """

    examples = 0

    @classmethod
    def _seen(cls, examples):
        cls.examples += int(examples)

    def call(self, inputs):
        if BACKEND == "jax":
            import jax

            jax.debug.callback(self._seen, inputs.shape[0])
        elif BACKEND == "tensorflow":
            import tensorflow as tf

            with tf.control_dependencies([tf.py_function(self._seen, [tf.shape(inputs)[0]], [])]):
                return tf.identity(inputs)
        else:
            self._seen(inputs.shape[0])
        return inputs


class PassesOfEachStep(keras.callbacks.Callback):
    def __init__(self, radii=()):
        super().__init__()
        self.radii, self.found = dict(radii), []

    def on_train_batch_begin(self, batch, logs=None):
        if batch in self.radii:
            self.model.rule.rho = self.radii[batch]
        self.before = Counting.examples

    def on_train_batch_end(self, batch, logs=None):
        if BACKEND == "jax":
            import jax

            jax.effects_barrier()
        self.found.append((Counting.examples - self.before) / networks.BATCH)


def passes(rule, mode, radii=(), **options):
    model = SharpnessAwareModel(networks.network(Counting()), rule, **options)
    callback = PassesOfEachStep(radii)
    networks.trained(
        networks.compiled(model, **MODES[mode]),
        examples=STEPS * networks.BATCH,
        callbacks=[callback],
    )
    return callback.found


def falling(start):
    """A radius that is 0 from step 2 on."""
    return keras.optimizers.schedules.PolynomialDecay(start, 2, 0.0)


SETTINGS = {
    "always": (lambda: SAM(rho=0.1), {}, [2, 2, 2, 2, 2, 2]),
    "rho=0": (lambda: SAM(rho=0.0), {}, [1, 1, 1, 1, 1, 1]),
    "rho falls to 0": (lambda: SAM(rho=falling(0.2)), {}, [2, 2, 1, 1, 1, 1]),
    "q_p=1": (lambda: ZSharp(q_p=1.0), {}, [1, 1, 1, 1, 1, 1]),
    "perturb_from": (SAM, {"perturb_from": 4}, [1, 1, 1, 1, 2, 2]),
    "perturb_every": (SAM, {"perturb_every": 3}, [2, 1, 1, 2, 1, 1]),
    "look_sam": (lambda: LookSAM(every=3), {}, [2, 1, 1, 2, 1, 1]),
    "msam": (MSAM, {}, [1, 1, 1, 1, 1, 1]),
    "random_sam": (RandomSAM, {}, [1, 1, 1, 1, 1, 1]),
    "both": (SAM, {"perturb_from": 1, "perturb_every": 3}, [1, 2, 1, 1, 2, 1]),
    "micro_batches": (SAM, {"perturb_from": 4, "micro_batches": 2}, [1, 1, 1, 1, 2, 2]),
    "ascent_fraction": (SAM, {"ascent_fraction": 0.25}, [1.25] * 6),
    "a fraction later": (SAM, {"ascent_fraction": 0.5, "perturb_from": 4}, [1, 1, 1, 1, 1.5, 1.5]),
    "of parts": (SAM, {"ascent_fraction": 0.25, "micro_batches": 2}, [1.25] * 6),
    "share": (SAM, {"perturb_from": 0.6}, [1, 1, 1, 1, 2, 2]),
}


@pytest.mark.parametrize(
    ("setting", "mode"),
    [*((setting, "default") for setting in SETTINGS), ("rho falls to 0", "eager")],
)
def test_passes_of_each_step(setting, mode):
    rule, options, expected = SETTINGS[setting]
    assert passes(rule(), mode, **options) == expected


@pytest.mark.parametrize("mode", MODES)
def test_a_radius_that_a_callback_sets(mode):
    radii = {2: 0.0, 4: 0.1}
    assert passes(SAM(rho=0.1), mode, radii) == [2, 2, 1, 1, 2, 2]
    assert passes(SAM(rho=0.0), mode, radii) == [1, 1, 1, 1, 2, 2]


@pytest.mark.skipif(BACKEND != "jax", reason="JAX")
def test_a_program_that_chooses_by_itself(monkeypatch):
    """As on a GPU, where a branch costs nothing."""
    from keras_zsharp.backend.jax import devices

    monkeypatch.setattr(devices, "on_cpu", lambda: False)
    assert passes(SAM(), "default", perturb_every=3) == [2, 1, 1, 2, 1, 1]
    assert passes(SAM(), "default", perturb_from=4, micro_batches=2) == [1, 1, 1, 1, 2, 2]
