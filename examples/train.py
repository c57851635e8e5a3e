"""Trains one of the papers' networks on one of their datasets with the ZSharp paper's recipe.

    python examples/train.py --dataset cifar10 --model resnet56 --perturbation zsharp

AdamW with learning rate 1e-3, times 0.75 every 10 epochs, and weight decay 5e-5; batches of 256
for 200 epochs; rho 0.05, q_p 0.95, and ZSharp's radius per variable as in the authors' released
code, which their tables come from.

The folder of the run gets `config.json`, `history.csv`, a line per epoch, and at last `model.keras`
and `result.json`. When the same command is given again, an interrupted run goes on after its last
whole epoch, as if it had never been interrupted.
"""

import argparse
import json
import pathlib
import sys

import keras
import tensorflow as tf

import keras_zsharp
from keras_zsharp import data, models

RULES = {
    "none": None,
    "sam": keras_zsharp.SAM,
    "asam": keras_zsharp.ASAM,
    "friendly_sam": keras_zsharp.FriendlySAM,
    "adaptive_friendly_sam": keras_zsharp.AdaptiveFriendlySAM,
    "zsharp": keras_zsharp.ZSharp,
}
NOT_SETTINGS = ("output", "data_dir", "verbose")
MODELS = [name for name in models.__all__ if name not in ("cifar_resnet", "wide_resnet")]


def build(options, bundle):
    """The network, and what trains it: itself or its sharpness-aware wrapper, compiled."""
    network = getattr(models, options.model)(bundle.input_shape, bundle.classes)
    model = network
    if RULES[options.perturbation] is not None:
        of_zsharp = {"q_p": options.q_p, "norm": options.norm}
        settings = of_zsharp if options.perturbation == "zsharp" else {}
        rule = RULES[options.perturbation](rho=options.rho, **settings)
        model = keras_zsharp.SharpnessAwareModel(network, rule)
    schedule = keras.optimizers.schedules.ExponentialDecay(
        options.learning_rate, 10 * len(bundle.train), 0.75, staircase=True
    )
    crossentropy = (
        keras.losses.CategoricalCrossentropy
        if bundle.one_hot
        else keras.losses.SparseCategoricalCrossentropy
    )
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=options.weight_decay),
        crossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    # An optimizer without variables would be left out when an interrupted run is restored.
    model.optimizer.build(model.trainable_variables)
    return network, model


def load(options):
    return data.load(
        options.dataset,
        batch_size=options.batch_size,
        augment=options.augment,
        label_noise=options.label_noise,
        seed=options.seed,
        validation=options.validation,
        data_dir=options.data_dir,
    )


def train(options, bundle, network, model):
    """Trains, or goes on training; the accuracy and loss on the test data as a dict."""
    print(
        f"{options.dataset}: {bundle.sizes}, {bundle.classes} classes, "
        f"{bundle.noisy_labels} training labels moved; "
        f"{options.model}: {network.count_params():,} parameters",
        flush=True,
    )
    model.fit(
        bundle.train,
        validation_data=bundle.validation or bundle.test,
        epochs=options.epochs,
        callbacks=[
            keras.callbacks.BackupAndRestore(str(options.output / "backup")),
            keras.callbacks.CSVLogger(str(options.output / "history.csv"), append=True),
            bundle.epochs,
        ],
        verbose=options.verbose,
    )
    network.save(options.output / "model.keras")
    result = model.evaluate(bundle.test, verbose=0, return_dict=True)
    return {"test_accuracy": float(result["accuracy"]), "test_loss": float(result["loss"])}


def main(arguments=None):
    options = parse(arguments)
    keras.utils.set_random_seed(options.seed)
    try:
        bundle = load(options)
        network, model = build(options, bundle)
        finished = claim(options)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    try:
        result = train(options, bundle, network, model)
    except KeyboardInterrupt:
        sys.exit(f"\nInterrupted; the same command goes on from {options.output}")
    finished.write_text(json.dumps(result, indent=2) + "\n")
    print(f"Test accuracy {100 * result['test_accuracy']:.2f} %; written to {options.output}")


def claim(options):
    """Notes the settings in the folder of the run; returns the path of its result."""
    config = {name: value for name, value in vars(options).items() if name not in NOT_SETTINGS}
    config["versions"] = {"keras": keras.version(), "tensorflow": tf.__version__}
    path, finished = options.output / "config.json", options.output / "result.json"
    if path.exists() and json.loads(path.read_text()) != config:
        raise ValueError(f"--output has a run with other settings or versions: see {path}")
    if finished.exists():
        raise ValueError(f"--output has this run, finished: {finished.read_text()}")
    options.output.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config, indent=2) + "\n")
    return finished


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--dataset", choices=data.NAMES, default="cifar10")
    add("--model", choices=MODELS, default="resnet56")
    add("--perturbation", choices=RULES, default="zsharp", help="none: the optimizer alone")
    add("--rho", type=float, default=0.05)
    add("--q-p", type=float, default=0.95, help="ZSharp's percentile")
    add("--norm", choices=("per_variable", "global"), default="per_variable", help="of ZSharp")
    add("--epochs", type=int, default=200)
    add("--batch-size", type=int, default=256)
    add("--learning-rate", type=float, default=1e-3)
    add("--weight-decay", type=float, default=5e-5)
    add("--augment", choices=("none", *data.AUGMENTATIONS[1:]), default="standard")
    add("--label-noise", type=float, default=0.0, help="share of training labels moved")
    add("--validation", type=float, help="share of the training data to hold out")
    add("--seed", type=int, default=0)
    add("--data-dir", help="folder of tensorflow-datasets")
    add("--output", type=pathlib.Path, help="by default runs/DATASET-MODEL-PERTURBATION-SEED")
    add("--verbose", type=int, choices=(0, 1, 2), default=1, help="as in Keras' fit")
    options = parser.parse_args(arguments)
    if options.augment == "none":
        options.augment = None
    run = f"{options.dataset}-{options.model}-{options.perturbation}-{options.seed}"
    options.output = options.output or pathlib.Path("runs") / run
    if options.epochs < 1:
        parser.error(f"--epochs must be >= 1, not {options.epochs}")
    return options


if __name__ == "__main__":
    main()
