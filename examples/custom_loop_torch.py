"""A training loop of one's own on PyTorch, with a DataLoader, autocast and a rule of keras_zsharp.

    KERAS_BACKEND=torch python examples/custom_loop_torch.py

Takes 1 minute of a CPU core. Trains twice, without and with SAM, and prints loss, sharpness and
test accuracy, a line an epoch. The data are the package's digits, 40 % of whose training labels are
wrong. `--bfloat16` computes both passes under `torch.autocast`.

The step is that of `custom_loop.py`, and in float32 it trains to the same weights as `fit` does.
The weights, the gradients and the rule stay in float32 under autocast: it casts within the passes
alone. For float16 a `torch.amp.GradScaler` would have to see both passes: take bfloat16.
"""

import argparse
import os
import sys


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rho", type=float, default=0.2, help="radius of SAM")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--bfloat16", action="store_true", help="autocast to bfloat16")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import torch
from torch.utils.data import DataLoader, TensorDataset

import keras_zsharp

loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def make_step(net, rule, optimizer, bfloat16=False):
    """The training step: a function of a batch that returns its loss and its sharpness."""
    trained, others = net.trainable_variables, net.non_trainable_variables
    rule.build(trained)
    optimizer.build(trained)
    device = trained[0].value.device

    def gradients_at(weights, state, images, labels):
        """Loss and gradients of a batch at `weights`, and what the pass makes of `state`."""
        weights = [w.detach().requires_grad_() for w in weights]
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            logits, state, extra = net.stateless_call(
                weights, state, images, training=True, return_losses=True
            )
        loss = loss_of(labels, logits.float()) + sum(extra)  # regularizers and `add_loss`
        return loss.detach(), torch.autograd.grad(loss, weights, allow_unused=True), state

    def step(images, labels):
        images, labels = images.to(device), labels.to(device)
        weights, state = ([v.value.detach().clone() for v in part] for part in (trained, others))
        loss, gradients, new_state = gradients_at(weights, state, images, labels)
        with torch.no_grad():
            epsilons = rule(gradients, trained, optimizer.iterations)
            shifted = [w if e is None else w + e for w, e in zip(weights, epsilons, strict=True)]
        shifted_loss, shifted_gradients, _ = gradients_at(shifted, state, images, labels)
        with torch.no_grad():
            optimizer.apply(rule.descent(gradients, shifted_gradients), trained)
            for variable, value in zip(others, new_state, strict=True):
                variable.assign(value)
        return float(loss), float(shifted_loss - loss)

    return step


def main(arguments=None):
    args = parse(arguments)
    if keras.backend.backend() != "torch":
        sys.exit("This program is for PyTorch: set KERAS_BACKEND=torch")
    print("Trains a CNN twice, without and with SAM: 1 minute of a CPU core.", flush=True)
    data = keras_zsharp.data.digits(label_noise=0.4)
    loader = DataLoader(TensorDataset(*map(torch.tensor, data.arrays["train"])), 64, shuffle=True)
    images, labels = data.arrays["test"]
    for rho in (0.0, args.rho):
        keras.utils.set_random_seed(0)
        net = keras_zsharp.models.small_cnn(data.input_shape, data.classes)
        optimizer, rule = keras.optimizers.AdamW(1e-3), keras_zsharp.SAM(rho=rho)
        step = make_step(net, rule, optimizer, args.bfloat16)
        for epoch in range(1, args.epochs + 1):
            losses = torch.tensor([step(*batch) for batch in loader]).mean(0)
            accuracy = (net.predict(images, verbose=0).argmax(-1) == labels).mean()
            print(
                f"rho={rho}, epoch {epoch}: loss {losses[0]:.3f}, sharpness {losses[1]:.3f}, "
                f"test accuracy {100 * accuracy:.1f} %",
                flush=True,
            )


if __name__ == "__main__":
    main()
