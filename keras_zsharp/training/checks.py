"""What the step cannot look into is refused."""

import keras
import tensorflow as tf

from keras_zsharp.keras_internals import read_around_scope
from keras_zsharp.perturbations.variables import is_overwritten
from keras_zsharp.weight_scope import NO_FUNCTION

_AROUND = NO_FUNCTION + ". Received: such a layer or loss with the weights {}"


def check_backend():
    """The step is TensorFlow's."""
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "keras_zsharp trains on Keras' TensorFlow backend. Set KERAS_BACKEND=tensorflow "
            f"before importing keras. Received: backend {keras.backend.backend()!r}"
        )


def check_read_in_scope(variables, tape):
    """The tape must not have seen a weight itself, only what stands for it in the pass."""
    around = read_around_scope(variables, tape)
    if around:
        raise ValueError(_AROUND.format(around))


def check_second_pass(variables, gradients, shifted_gradients):
    """The loss at w + e depends on the weights that the loss at w depends on.

    In a graph. Eagerly, Python code in a model's `call` may well choose another way each time.
    """
    pairs = zip(variables, gradients, shifted_gradients, strict=True)
    around = [v.path for v, g, shifted in pairs if (g is None) != (shifted is None)]
    if around and not tf.executing_eagerly():
        raise ValueError(_AROUND.format(around))


def check_parts(count, variables):
    """The scales that float8 layers find in the parts of a batch have no mean."""
    scales = [v.path for v in variables if is_overwritten(v)]
    if count > 1 and scales:
        raise ValueError(
            "`micro_batches` must be 1 for layers quantized to float8. "
            f"Received: micro_batches={count} and the scales {scales}"
        )


def check_devices(model):
    """On several devices, what fails in plain Keras too is refused before it fails obscurely."""
    strategy, optimizer = model.distribute_strategy, model.optimizer
    count = strategy.num_replicas_in_sync
    if count == 1:
        return
    accumulated = getattr(optimizer, "inner_optimizer", optimizer).gradient_accumulation_steps
    on_cpus = any("CPU" in device for device in strategy.extended.worker_devices)
    for name, bound, received, fails in (
        ("gradient_accumulation_steps", "None", accumulated, accumulated is not None),
        ("steps_per_execution", "1", model.steps_per_execution, model.steps_per_execution > 1),
        ("jit_compile", "False on CPUs", model.jit_compile, model.jit_compile and on_cpus),
    ):
        if fails:
            raise ValueError(
                f"`{name}` must be {bound} under a strategy with several devices, where it fails "
                f"in plain Keras too. Received: {name}={received} and {count} devices"
            )
