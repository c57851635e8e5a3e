"""SAM by hand on a Keras network: `optax.contrib.sam` on JAX, `pytorch_optimizer` on PyTorch."""

import importlib
from importlib import metadata

import keras

from steps import keras3, networks

BACKEND = keras.backend.backend()
LIBRARY = {"jax": "optax", "torch": "pytorch_optimizer"}[BACKEND]
importlib.import_module(LIBRARY)
VERSIONS = {**keras3.VERSIONS, LIBRARY: metadata.version(LIBRARY)}
RHO = 0.05


def step(network, method, mode, x, y):
    """As in `keras3`, with SAM alone."""
    net = networks.build(network)
    weights = 4 * sum(int(keras.ops.size(v)) for v in net.trainable_variables)
    return {"jax": on_jax, "torch": on_pytorch}[BACKEND](net, x, y), weights


def on_jax(net, x, y):
    import jax
    import optax

    state = [
        [v.value for v in kind] for kind in (net.trainable_variables, net.non_trainable_variables)
    ]
    ascent = optax.chain(optax.contrib.normalize(), optax.sgd(RHO))
    optimizer = optax.contrib.sam(optax.adamw(1e-3), ascent, opaque_mode=True)
    state.append(optimizer.init(state[0]))

    def loss_of(weights, others):
        logits, others = net.stateless_call(weights, others, x, training=True)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), others

    @jax.jit
    def update(weights, others, moments):
        (loss, new), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights, others)

        def again(shifted, _):
            gradients, _ = jax.grad(loss_of, has_aux=True)(shifted, others)
            return gradients

        updates, moments = optimizer.update(gradients, moments, weights, grad_fn=again)
        return optax.apply_updates(weights, updates), new, moments, loss

    def run():
        *state[:], loss = jax.block_until_ready(update(*state))
        return float(loss)

    return run


def on_pytorch(net, x, y):
    import pytorch_optimizer
    import torch

    images, labels = torch.from_numpy(x), torch.from_numpy(y).long()
    optimizer = pytorch_optimizer.SAM(net.parameters(), torch.optim.AdamW, rho=RHO, lr=1e-3)

    def backward():
        loss = torch.nn.functional.cross_entropy(net(images, training=True), labels)
        loss.backward()
        return loss.item()

    def run():
        loss = backward()
        optimizer.first_step(zero_grad=True)
        backward()
        optimizer.second_step(zero_grad=True)
        return loss

    return run
