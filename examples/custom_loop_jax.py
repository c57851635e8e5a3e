"""A training loop of one's own on JAX, with a rule of keras_zsharp and without `fit`.

    KERAS_BACKEND=jax python examples/custom_loop_jax.py

Takes 40 seconds of a CPU core. Prints a line an epoch. 40 % of the training labels are wrong.

The step is that of `custom_loop.py`, as a pure function of all values that training changes: the
weights, and the state of the layers, the rule and the optimizer. A rule reads and assigns Keras
variables, so it is called in a `keras.StatelessScope`, where these values stand for them.
"""

import argparse
import os
import sys


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import keras
import numpy as np

import keras_zsharp

BATCH = 64
loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def make_step(net, rule, optimizer):
    """The training step: `values, losses = step(values, images, labels)`."""
    trained = net.trainable_variables
    rule.build(trained)
    optimizer.build(trained)

    def loss_at(weights, state, images, labels):
        logits, state, extra = net.stateless_call(
            weights, state, images, training=True, return_losses=True
        )
        return loss_of(labels, logits) + sum(extra), state

    gradients_at = jax.value_and_grad(loss_at, has_aux=True)

    @jax.jit
    def step(values, images, labels):
        weights, state, rule_state, optimizer_state = values
        (loss, new_state), gradients = gradients_at(weights, state, images, labels)
        variables = [*trained, *rule.variables, *optimizer.variables]
        given = [*weights, *rule_state, *optimizer_state]
        with keras.StatelessScope(zip(variables, given, strict=True)) as scope:
            epsilons = rule(gradients, trained, optimizer.iterations)
        shifted = [w + e for w, e in zip(weights, epsilons, strict=True)]
        (shifted_loss, _), shifted_gradients = gradients_at(shifted, state, images, labels)
        with scope:
            descent = rule.descent(gradients, shifted_gradients)
            rule_state = [scope.get_current_value(v) for v in rule.variables]
        weights, optimizer_state = optimizer.stateless_apply(optimizer_state, descent, weights)
        return (weights, new_state, rule_state, optimizer_state), (loss, shifted_loss - loss)

    return step


def main(arguments=None):
    args = parse(arguments)
    if keras.backend.backend() != "jax":
        sys.exit("This program is for JAX: set KERAS_BACKEND=jax")
    print("Trains a CNN with SAM: 40 seconds of a CPU core.", flush=True)
    keras.utils.set_random_seed(0)
    data = keras_zsharp.data.digits(label_noise=0.4)
    (images, labels), (test_images, test_labels) = data.arrays["train"], data.arrays["test"]
    net = keras_zsharp.models.small_cnn(data.input_shape, data.classes)
    rule, optimizer = keras_zsharp.SAM(rho=0.2), keras.optimizers.AdamW(1e-3)
    step, order = make_step(net, rule, optimizer), np.random.default_rng(0)
    changing = net.trainable_variables, net.non_trainable_variables
    changing += rule.variables, optimizer.variables
    for epoch in range(1, args.epochs + 1):
        batches = np.split(order.permutation(len(labels)), range(BATCH, len(labels), BATCH))
        values, losses = [[v.value for v in variables] for variables in changing], []
        for batch in batches:
            values, of_batch = step(values, images[batch], labels[batch])
            losses.append(of_batch)
        loss, sharpness = np.average(losses, axis=0, weights=[len(batch) for batch in batches])
        # Only now the variables have the new values.
        keras.tree.map_structure(lambda v, value: v.assign(value), changing, values)
        accuracy = np.mean(net.predict(test_images, verbose=0).argmax(-1) == test_labels)
        losses = f"loss {loss:.3f}, sharpness {sharpness:.3f}"
        print(f"Epoch {epoch}: {losses}, test accuracy {100 * accuracy:.1f} %", flush=True)


if __name__ == "__main__":
    main()
