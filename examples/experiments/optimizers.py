"""The optimizers of the papers' recipes."""

import keras
from keras import ops
from keras.optimizers import schedules

from keras_zsharp import checks


class Coupled:
    """Mixin of optimizers that add `decay` times the weights to their gradients, as in PyTorch.

    With momentum m, SGD decays weights 1 / (1 - m) times as fast as by Keras' decoupled decay.
    """

    def __init__(self, learning_rate, decay=0.0, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.decay = decay

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient + self.decay * variable, variable, learning_rate)


class CoupledSGD(Coupled, keras.optimizers.SGD):
    pass


class CoupledAdam(Coupled, keras.optimizers.Adam):
    pass


class WarmupSteps(schedules.ExponentialDecay):
    """Keras' `ExponentialDecay` with a linear rise from 0 in its first `warmup` steps."""

    def __init__(self, *args, warmup, **kwargs):
        super().__init__(*args, **kwargs)
        self.warmup = warmup

    def __call__(self, step):
        return super().__call__(step) * ops.minimum(ops.cast(step, "float32") / self.warmup, 1.0)


def build(config, steps_per_epoch):
    """The optimizer of a run, with its schedule."""
    rate, decay, epoch = config["learning_rate"], config["weight_decay"], steps_per_epoch
    fall = {"decay_rate": 0.75, "staircase": True}
    schedule = checks.one_of("schedule", config["schedule"], "steps", "warmup_steps", "cosine")
    if schedule == "steps":
        rate = schedules.ExponentialDecay(rate, 10 * epoch, **fall)
    elif schedule == "warmup_steps":
        rate = WarmupSteps(rate, 30 * epoch, **fall, warmup=5 * epoch)
    else:
        rate = schedules.CosineDecay(rate, config["epochs"] * epoch)
    optimizer = checks.one_of("optimizer", config["optimizer"], "adamw", "adam", "sgd")
    if optimizer == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=decay)
    return CoupledSGD(rate, decay, momentum=0.9) if optimizer == "sgd" else CoupledAdam(rate, decay)
