"""The optimizers of the papers' recipes."""

import keras


class CoupledSGD(keras.optimizers.SGD):
    """SGD whose weight decay is part of the gradient, as in PyTorch.

    With momentum m it decays weights 1 / (1 - m) times as fast as Keras' decoupled one.

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


def build(config, steps_per_epoch):
    """The optimizer of a run, with its schedule."""
    rate, decay = config["learning_rate"], config["weight_decay"]
    schedules = keras.optimizers.schedules
    if config["schedule"] == "steps":
        rate = schedules.ExponentialDecay(rate, 10 * steps_per_epoch, 0.75, staircase=True)
    elif config["schedule"] == "cosine":
        rate = schedules.CosineDecay(rate, config["epochs"] * steps_per_epoch)
    else:
        raise ValueError(f'`schedule` must be "steps" or "cosine". Received: {config["schedule"]}')
    if config["optimizer"] == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=decay)
    if config["optimizer"] == "sgd":
        return CoupledSGD(rate, decay, momentum=0.9)
    raise ValueError(f'`optimizer` must be "adamw" or "sgd". Received: {config["optimizer"]}')
