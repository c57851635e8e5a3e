"""Segmentation by a small U-Net, with and without SAM, where training masks lack objects.

    KERAS_BACKEND=jax python examples/segmentation.py

Takes 1 minute of a CPU core on JAX, 3 on PyTorch. Each picture has six of the package's digits on
noise, and a mask of their ink. Whoever drew the training masks overlooked three digits in ten; the
test masks are whole. Prints the intersection over union of test ink, without and with SAM: on JAX,
41.7 and 67.6 %, means of three seeds, which gain 33, 39 and 6 points. That is after the last epoch:
on PyTorch AdamW has 60.6 % after two. Stopping early, by whole masks, closes much of the gap.
"""

import argparse
import os


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rho", type=float, default=0.2, help="radius of SAM")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

import keras_zsharp

OVERLOOKED = 0.3
"""Share of the digits that the training masks lack."""


def scenes(digits, count, overlooked, rng):
    """Pictures of 32 x 32 pixels and their masks, in {0, 1}."""
    pictures = rng.normal(0, 0.3, (count, 32, 32, 1)).astype("float32")
    masks = np.zeros_like(pictures)
    for picture, mask in zip(pictures, masks, strict=True):
        for cell in rng.choice(16, 6, replace=False):
            digit = rng.choice(digits) + 0.5
            part = slice(cell // 4 * 8, cell // 4 * 8 + 8), slice(cell % 4 * 8, cell % 4 * 8 + 8)
            picture[part] += digit
            if rng.random() >= overlooked:
                mask[part] = digit > 0.3
    return pictures, masks


def convolutions(x, filters):
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    return x


def unet(filters=(8, 16, 32)):
    inputs = x = keras.Input((32, 32, 1))
    skipped = []
    for count in filters[:-1]:
        skipped.append(convolutions(x, count))
        x = layers.MaxPooling2D()(skipped[-1])
    x = convolutions(x, filters[-1])
    for count, skip in zip(filters[-2::-1], reversed(skipped), strict=True):
        x = layers.Concatenate()([layers.UpSampling2D()(x), skip])
        x = convolutions(x, count)
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(x))


def overlap(train, test, args, rho):
    """Intersection over union in percent, with SAM of a radius or without."""
    keras.utils.set_random_seed(args.seed)
    model = unet()
    if rho:
        model = keras_zsharp.SharpnessAwareModel(model, keras_zsharp.SAM(rho=rho))
    metric = keras.metrics.BinaryIoU([1], name="iou")
    model.compile(keras.optimizers.AdamW(3e-3), "binary_crossentropy", metrics=[metric])
    model.fit(*train, batch_size=8, epochs=args.epochs)
    return 100 * model.evaluate(*test, verbose=0, return_dict=True)["iou"]


def main(arguments=None):
    args = parse(arguments)
    print("Trains a U-Net twice, without and with SAM: 1 to 3 minutes of a CPU core.", flush=True)
    rng = np.random.default_rng(args.seed)
    digits = keras_zsharp.data.digits(seed=args.seed).arrays
    train = scenes(digits["train"][0], 96, OVERLOOKED, rng)
    test = scenes(digits["test"][0], 96, 0, rng)
    radii = {"AdamW": 0, f"SAM(rho={args.rho})": args.rho}
    found = {name: overlap(train, test, args, rho) for name, rho in radii.items()}
    for name, percent in found.items():
        print(f"{name}: test IoU {percent:.1f} %")


if __name__ == "__main__":
    main()
