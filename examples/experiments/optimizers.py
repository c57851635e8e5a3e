"""The optimizers of the papers' recipes."""

import keras
from keras import ops
from keras.optimizers import schedules


class Coupled:
    """Mixin of optimizers whose weight decay is part of the gradient, as in PyTorch.

    With momentum m, SGD decays weights 1 / (1 - m) times as fast as by Keras' decoupled one.

    Args:
        decay: Factor of the weights that is added to their gradients, >= 0.
    """

    def __init__(self, learning_rate, decay=0.0, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.decay = decay

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient + self.decay * variable, variable, learning_rate)

    def get_config(self):
        return {**super().get_config(), "decay": self.decay}


class CoupledSGD(Coupled, keras.optimizers.SGD):
    """`keras.optimizers.SGD` with `Coupled` weight decay."""


class CoupledAdam(Coupled, keras.optimizers.Adam):
    """`keras.optimizers.Adam` with `Coupled` weight decay."""


class WarmupSteps(schedules.ExponentialDecay):
    """Keras' `ExponentialDecay` with a linear rise from 0 in its first `warmup` steps."""

    def __init__(self, *args, warmup, **kwargs):
        super().__init__(*args, **kwargs)
        self.warmup = warmup

    def __call__(self, step):
        return super().__call__(step) * ops.minimum(ops.cast(step, "float32") / self.warmup, 1.0)

    def get_config(self):
        return {**super().get_config(), "warmup": self.warmup}


def build(config, steps_per_epoch):
    """The optimizer of a run, with its schedule."""
    rate, decay, epoch = config["learning_rate"], config["weight_decay"], steps_per_epoch
    fall = {"decay_rate": 0.75, "staircase": True}
    if config["schedule"] == "steps":
        rate = schedules.ExponentialDecay(rate, 10 * epoch, **fall)
    elif config["schedule"] == "warmup_steps":
        rate = WarmupSteps(rate, 30 * epoch, **fall, warmup=5 * epoch)
    elif config["schedule"] == "cosine":
        rate = schedules.CosineDecay(rate, config["epochs"] * epoch)
    else:
        raise ValueError(
            '`schedule` must be "steps", "warmup_steps" or "cosine". '
            f"Received: {config['schedule']}"
        )
    if config["optimizer"] == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=decay)
    if config["optimizer"] == "adam":
        return CoupledAdam(rate, decay)
    if config["optimizer"] == "sgd":
        return CoupledSGD(rate, decay, momentum=0.9)
    raise ValueError(
        f'`optimizer` must be "adamw", "adam" or "sgd". Received: {config["optimizer"]}'
    )
