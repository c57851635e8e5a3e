"""Fine-tunes a KerasCV ResNetV2 backbone under `SharpnessAwareModel`.

    python examples/finetune_keras_cv.py --dataset oxford_iiit_pet --preset resnet50_v2_imagenet

Needs the extras: pip install "keras-zsharp[datasets,cv]".

The recipe is that of the Friendly-SAM paper for transfer: AdamW with learning rate 1e-4 and weight
decay 1e-5, batches of 128, 10 epochs, rho 0.075. Presets are downloaded by KerasCV; `--preset none`
trains a ResNet-18 backbone from random weights.
"""

import argparse
import os
import pathlib
import sys


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--dataset", default="oxford_iiit_pet", help="one of keras_zsharp.data.NAMES")
    add("--preset", default="resnet50_v2_imagenet", help="of a KerasCV ResNetV2, or none")
    add("--rho", type=float, default=0.075)
    add("--epochs", type=int, default=10)
    add("--batch-size", type=int, default=128)
    add("--learning-rate", type=float, default=1e-4)
    add("--weight-decay", type=float, default=1e-5)
    add("--seed", type=int, default=0)
    add("--data-dir", help="folder of tensorflow-datasets")
    add("--output", type=pathlib.Path, default=pathlib.Path("finetuned.keras"))
    options = parser.parse_args(arguments)
    if not (options.rho >= 0 and options.learning_rate > 0 and options.weight_decay >= 0):
        parser.error("--rho and --weight-decay must be >= 0, and --learning-rate > 0")
    if min(options.epochs, options.batch_size) < 1:
        parser.error("--epochs and --batch-size must be >= 1")
    return options


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from keras import layers

import keras_zsharp


def backbone(preset):
    """A backbone for images with pixels from 0 to 255."""
    import keras_cv

    if preset == "none":
        return keras_cv.models.ResNetV2Backbone(
            stackwise_filters=[64, 128, 256, 512],
            stackwise_blocks=[2, 2, 2, 2],
            stackwise_strides=[1, 2, 2, 2],
            include_rescaling=True,
            block_type="basic_block",
        )
    return keras_cv.models.ResNetV2Backbone.from_preset(preset)


def classifier(bundle, features):
    """A functional model from the bundle's images to logits."""
    inputs = keras.Input(bundle.input_shape)
    variance = [std**2 for std in bundle.std]
    x = layers.Normalization(mean=bundle.mean, variance=variance, invert=True)(inputs)
    x = layers.GlobalAveragePooling2D()(features(x))
    return keras.Model(inputs, layers.Dense(bundle.classes, name="logits")(x))


def main(arguments=None):
    options = parse(arguments)
    print("Fine-tunes a ResNet: it takes hours of a CPU, by an estimate; take a GPU.", flush=True)
    keras.utils.set_random_seed(options.seed)
    try:
        bundle = keras_zsharp.data.load(
            options.dataset, options.batch_size, seed=options.seed, data_dir=options.data_dir
        )
        network = classifier(bundle, backbone(options.preset))
        rule = keras_zsharp.ZSharp(rho=options.rho, norm="per_variable")
        model = keras_zsharp.SharpnessAwareModel(network, rule)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    model.compile(
        keras.optimizers.AdamW(options.learning_rate, weight_decay=options.weight_decay),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(bundle.train, validation_data=bundle.test, epochs=options.epochs)
    network.save(options.output)
    print(f"Written to {options.output}")


if __name__ == "__main__":
    main()
