"""The optimizers of the papers' recipes.

Each function takes the steps of an epoch and the number of epochs.
"""

import keras
from keras import ops
from keras.optimizers import schedules


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


def adamw(epoch, epochs, learning_rate=1e-3, weight_decay=5e-5):
    rate = schedules.CosineDecay(learning_rate, epochs * epoch)
    return keras.optimizers.AdamW(rate, weight_decay=weight_decay)


def sgd(epoch, epochs, learning_rate=0.05, weight_decay=1e-3):
    """Of the Friendly-SAM paper, section 6.1, and of its code."""
    rate = schedules.CosineDecay(learning_rate, epochs * epoch)
    return CoupledSGD(rate, weight_decay, momentum=0.9)


def adamw_in_steps(epoch, epochs):
    """Of the ZSharp paper, section 4."""
    rate = schedules.ExponentialDecay(1e-3, 10 * epoch, 0.75, staircase=True)
    return keras.optimizers.AdamW(rate, weight_decay=5e-5)


def adam_with_warmup(epoch, epochs):
    """Of the ZSharp paper's released code. That the rise is linear is ours."""
    return CoupledAdam(WarmupSteps(1e-3, 30 * epoch, 0.75, staircase=True, warmup=5 * epoch), 5e-5)
