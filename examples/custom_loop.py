"""A training loop of one's own on TensorFlow, with a rule of keras_zsharp and without `fit`.

    python examples/custom_loop.py

Takes 25 seconds of a CPU core. Prints loss, sharpness and test accuracy, a line an epoch. The data
are scikit-learn's digits, 40 % of whose training labels are wrong.

The step is that of `SharpnessAwareModel`, and trains to the same weights. Both passes are calls of
`stateless_call`: the weights never leave w, both passes see the same dropout, and of what they do
to BatchNormalization's statistics only the first pass' is kept. All rules work here but LookSAM
and MSAM. `custom_loop_jax.py` and `custom_loop_torch.py` are the same on JAX and PyTorch.
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

import keras
import tensorflow as tf

import keras_zsharp

loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def gradients_at(net, weights, state, images, labels):
    """Loss and gradients of a batch at `weights`, and what the pass makes of `state`."""
    with tf.GradientTape() as tape:
        tape.watch(weights)
        logits, state, extra = net.stateless_call(
            weights, state, images, training=True, return_losses=True
        )
        loss = loss_of(labels, logits) + sum(extra)  # regularizers and `add_loss`
    return loss, tape.gradient(loss, weights), state


def make_step(net, rule, optimizer):
    """The training step: a function of a batch that returns its loss and its sharpness."""
    trained, others = net.trainable_variables, net.non_trainable_variables
    # A `tf.function` cannot create variables when it is called again.
    rule.build(trained)
    optimizer.build(trained)

    @tf.function
    def step(images, labels):
        weights, state = ([tf.convert_to_tensor(v) for v in part] for part in (trained, others))
        loss, gradients, new_state = gradients_at(net, weights, state, images, labels)
        epsilons = rule(gradients, trained, optimizer.iterations)  # None where there is no gradient
        shifted = [w if e is None else w + e for w, e in zip(weights, epsilons, strict=True)]
        shifted_loss, shifted_gradients, _ = gradients_at(net, shifted, state, images, labels)
        optimizer.apply(rule.descent(gradients, shifted_gradients), trained)
        for variable, value in zip(others, new_state, strict=True):
            variable.assign(value)
        return loss, shifted_loss - loss

    return step


def main(arguments=None):
    args = parse(arguments)
    if keras.backend.backend() != "tensorflow":
        sys.exit("This program is for TensorFlow: see custom_loop_jax.py or _torch.py")
    print("Trains a CNN with SAM: 25 seconds of a CPU core.", flush=True)
    keras.utils.set_random_seed(0)
    data = keras_zsharp.data.digits(label_noise=0.4)
    net = keras_zsharp.models.small_cnn(data.input_shape, data.classes)
    step = make_step(net, keras_zsharp.SAM(rho=0.2), keras.optimizers.AdamW(1e-3))
    loss, sharpness = keras.metrics.Mean(), keras.metrics.Mean()
    accuracy = keras.metrics.SparseCategoricalAccuracy()
    for epoch in range(1, args.epochs + 1):
        for metric in (loss, sharpness, accuracy):
            metric.reset_state()
        for images, labels in data.train:
            batch_loss, batch_sharpness = step(images, labels)
            loss.update_state(batch_loss, sample_weight=len(labels))
            sharpness.update_state(batch_sharpness, sample_weight=len(labels))
        for images, labels in data.test:
            accuracy.update_state(labels, net(images, training=False))
        print(
            f"Epoch {epoch}: loss {loss.result():.3f}, sharpness {sharpness.result():.3f}, "
            f"test accuracy {100 * accuracy.result():.1f} %",
            flush=True,
        )


if __name__ == "__main__":
    main()
