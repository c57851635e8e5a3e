"""Fine-tunes a KerasHub image classifier with LoRA, sharpness-aware.

    pip install "keras-zsharp[datasets,hub]"
    python examples/finetune_image_classifier.py --preset vit_base_patch16_224_imagenet

Without `--preset` nothing is downloaded: a small transformer of random weights shows in 30 seconds
of a CPU core that the program runs, not what fine-tuning is worth. Prints how many weights are
trained and the accuracy, and writes the classifier as a plain Keras model.

The images are scikit-learn's digits, in RGB. Any `tf.data.Dataset` of images and labels takes their
place, such as one of `keras.utils.image_dataset_from_directory`.
"""

import argparse
import math
import os


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", help="of a KerasHub vision transformer")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--output", default="image_classifier.keras")
    options = parser.parse_args(arguments)
    if options.epochs < 1:
        parser.error("--epochs must be >= 1")
    return options


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_hub
import tensorflow as tf

import keras_zsharp


def classifier(preset, classes):
    """A KerasHub task, which takes images of pixels from 0 to 255 and resizes them."""
    hub = keras_hub.models
    if preset:
        return hub.ImageClassifier.from_preset(preset, num_classes=classes)
    size = {"num_layers": 2, "num_heads": 4, "hidden_dim": 64, "mlp_dim": 128}
    backbone = hub.ViTBackbone(image_shape=(32, 32, 3), patch_size=8, **size)
    converter = keras_hub.layers.ViTImageConverter(image_size=(32, 32), scale=1 / 255)
    preprocessor = hub.ViTImageClassifierPreprocessor(converter)
    return hub.ViTImageClassifier(backbone, classes, preprocessor)


def in_rgb(images, labels):
    """The digits as KerasHub's preprocessors take images."""
    return tf.repeat(255 * (images + 0.5), 3, axis=-1), labels


def main(arguments=None):
    options = parse(arguments)
    print("Fine-tunes with LoRA: 30 seconds of a CPU core; a preset takes longer.", flush=True)
    keras.utils.set_random_seed(0)
    data = keras_zsharp.data.digits(batch_size=32)
    task = classifier(options.preset, data.classes)
    # What trains: adapters and biases of the attention's queries and values, and the head.
    task.backbone.enable_lora(rank=4)
    trained = sum(math.prod(v.shape) for v in task.trainable_variables)
    print(f"{trained:,} of {task.count_params():,} weights are trained")

    # In place: the task keeps its preprocessing. `perturb_only="lora"` would leave out the head.
    keras_zsharp.sharpness_aware(task, keras_zsharp.SAM(rho=0.05))
    task.compile(
        keras.optimizers.AdamW(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    task.fit(
        data.train.map(in_rgb),
        epochs=options.epochs,
        validation_data=data.test.map(in_rgb),
        verbose=2,
    )
    # The adapters are added to the kernels: who loads it needs neither LoRA nor keras_zsharp.
    keras_zsharp.plain(task).save(options.output)
    print(f"Written to {options.output}")


if __name__ == "__main__":
    main()
