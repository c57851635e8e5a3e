"""What the step cannot look into is refused."""

import torch

from keras_zsharp.keras_internals import flat_layers, stored

_AROUND = (
    "A layer or loss must read its weights as Keras variables: the pass at w + e(w) gives these "
    "other values. Build it of Keras layers and `keras.ops`. Received: {}"
)


def check_modules(model):
    """A PyTorch module keeps its parameters and buffers to itself."""
    wrapped = [layer.path for layer in flat_layers(model) if isinstance(layer, _wrapper())]
    if wrapped:
        raise ValueError(_AROUND.format(f"`TorchModuleWrapper` {wrapped}"))


def check_read_in_scope(scaled_loss, weights, variables, create_graph=False):
    """The gradients, if the loss depends on no variable itself, but on what stood for it."""
    behind = [stored(variable) for variable in variables]
    found = torch.autograd.grad(
        scaled_loss, [*weights, *behind], allow_unused=True, create_graph=create_graph
    )
    gradients, around = found[: len(weights)], found[len(weights) :]
    names = [v.path for v, g in zip(variables, around, strict=True) if g is not None]
    if names:
        raise ValueError(_AROUND.format(f"such a layer or loss with the weights {names}"))
    return list(gradients)


def _wrapper():
    import keras

    return keras.layers.TorchModuleWrapper
