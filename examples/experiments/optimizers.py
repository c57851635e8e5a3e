"""The optimizers of the papers' recipes."""

import keras
from keras import ops


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


class WarmupSteps(keras.optimizers.schedules.LearningRateSchedule):
    """Rises from 0 in proportion to the step, and falls by a factor at equal distances.

    Args:
        rate: The learning rate after the rise.
        warmup: Steps of the rise.
        distance: Steps from the beginning to the first fall, and from each fall to the next.
        factor: Of a fall.
    """

    def __init__(self, rate, warmup, distance, factor=0.75):
        self.rate, self.warmup, self.distance, self.factor = rate, warmup, distance, factor

    def __call__(self, step):
        step = ops.cast(step, "float32")
        risen = ops.minimum(step / self.warmup, 1.0)
        return self.rate * risen * self.factor ** ops.floor(step / self.distance)

    def get_config(self):
        names = ("rate", "warmup", "distance", "factor")
        return {name: getattr(self, name) for name in names}


def build(config, steps_per_epoch):
    """The optimizer of a run, with its schedule."""
    rate, decay = config["learning_rate"], config["weight_decay"]
    schedules = keras.optimizers.schedules
    if config["schedule"] == "steps":
        rate = schedules.ExponentialDecay(rate, 10 * steps_per_epoch, 0.75, staircase=True)
    elif config["schedule"] == "warmup_steps":
        rate = WarmupSteps(rate, 5 * steps_per_epoch, 30 * steps_per_epoch)
    elif config["schedule"] == "cosine":
        rate = schedules.CosineDecay(rate, config["epochs"] * steps_per_epoch)
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
