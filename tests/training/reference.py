"""An independent sharpness-aware trainer: in NumPy, perturbing in place and restoring.

It shares nothing with the library: it writes w + e into the variables, runs the plain Keras model,
and writes everything back.
"""

import keras
import numpy as np


def norm(tensors):
    return np.sqrt(sum((t.astype("float64") ** 2).sum() for t in tensors if t is not None))


def sam(gradients, rho, step=None, names=None):
    scale = rho / (norm(gradients) + 1e-8)
    return [None if g is None else g * scale for g in gradients]


def zsharp(gradients, rho, step=None, names=None, q_p=0.95):
    def keep(g, name):
        if g is None or g.ndim < 2 or name in ("bias", "beta"):
            return g
        z = np.abs((g - g.mean()) / (g.std() + 1e-8))
        return g * (z > np.quantile(z, q_p))

    return sam([keep(g, name) for g, name in zip(gradients, names, strict=True)], rho)


def sam_at_even_steps(gradients, rho, step, names=None):
    return sam(gradients, 0.0 if step % 2 else rho)


def train(model, rule, rho, batches, first=None):
    """Trains the compiled `model` on `batches`; the losses of the clean passes.

    These take the first examples of a batch, if a number says so, or else all.
    """
    backward = as_compiled(model)
    losses = []
    for step, (x, y, sample_weight) in enumerate(batches):
        if not model.built:
            model(x)
        before, at_w = map(read, (model.non_trainable_variables, model.trainable_variables))
        part = keras.tree.map_structure(
            lambda leaf: None if leaf is None else leaf[:first], (x, y, sample_weight)
        )
        loss, gradients = backward(*part)
        after = read(model.non_trainable_variables)
        assigned = read(model.trainable_variables)  # By the layers, as SpectralNormalization does.

        write(model.non_trainable_variables, before)
        names = [v.name for v in model.trainable_variables]
        epsilons = rule(dense(gradients), rho, step, names)
        write(
            model.trainable_variables,
            [w if e is None else w + e for w, e in zip(at_w, epsilons, strict=True)],
        )
        _, gradients = backward(x, y, sample_weight)

        write(model.trainable_variables, assigned)
        write(model.non_trainable_variables, after)
        model.optimizer.apply(gradients, model.trainable_variables)
        losses.append(float(loss))
    return losses


def as_compiled(model):
    """The plain model's forward and backward pass, run the way the model is compiled.

    A graph and XLA draw random numbers in their own way.
    """
    return BACKWARD[keras.backend.backend()](model)


def with_a_tape(model):
    import tensorflow as tf

    def loss_and_gradients(x, y, sample_weight):
        with tf.GradientTape() as tape:
            y_pred = model(x, training=True)
            loss = model.compute_loss(x, y, y_pred, sample_weight, training=True)
        return loss, tape.gradient(loss, model.trainable_variables)

    if not model.run_eagerly:
        loss_and_gradients = tf.function(loss_and_gradients, jit_compile=model.jit_compile)
    return loss_and_gradients


def of_a_state(model):
    import jax

    def loss_and_gradients(x, y, sample_weight):
        kinds = model.trainable_variables, model.non_trainable_variables
        weights, others = ([v.value for v in kind] for kind in kinds)
        # Of the optimizer, only the loss scale is read.
        scale = [v.value for v in model.optimizer.variables]
        differentiated = jax.value_and_grad(model.compute_loss_and_updates, has_aux=True)
        (_, (loss, _, others, _)), gradients = differentiated(
            weights, others, [], x, y, sample_weight, training=True, optimizer_variables=scale
        )
        write(model.non_trainable_variables, others)
        return loss, gradients

    return loss_and_gradients


def backwards(model):
    def loss_and_gradients(x, y, sample_weight):
        model.zero_grad()
        y_pred = model(x, training=True)
        loss = model.compute_loss(x, y, y_pred, sample_weight, training=True)
        loss.backward()
        return loss.detach(), [v.value.grad for v in model.trainable_variables]

    return loss_and_gradients


BACKWARD = {"tensorflow": with_a_tape, "jax": of_a_state, "torch": backwards}


def dense(gradients):
    tensors = (None if g is None else keras.ops.convert_to_tensor(g) for g in gradients)
    return [None if g is None else keras.ops.convert_to_numpy(g) for g in tensors]


def read(variables):
    return [keras.ops.convert_to_numpy(v).copy() for v in variables]


def write(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(keras.ops.cast(value, variable.dtype))
