"""One run: what it trains, as a dict of settings, and the folder that it leaves.

The folder gets `config.json`, `history.csv`, a line per epoch, and at last `model.keras` and
`result.json`. Before, `backup` has the state after the last whole epoch.
"""

import contextlib
import csv
import dataclasses
import importlib.metadata
import json
import os
import platform
import shutil

import keras
import numpy as np
import tensorflow as tf

import keras_zsharp
from experiments import callbacks, optimizers
from keras_zsharp import analysis, data, models


def versions():
    own = importlib.metadata.version("keras-zsharp")
    return {"keras": keras.version(), "tensorflow": tf.__version__, "keras-zsharp": own}


def load(config, data_dir=None):
    """The bundle of a run's data."""
    names = ("batch_size", "augment", "label_noise", "seed", "validation")
    options = {name: config[name] for name in names}
    if config["split_seed"] is not None:
        if config["dataset"] != "digits":
            raise ValueError(f"`split_seed` is of the digits alone. Received: {config}")
        bundle = data.digits(split_seed=config["split_seed"], **options)
    else:
        bundle = data.load(config["dataset"], data_dir=data_dir, **options)
    if bundle.validation is None or not config["label_noise"]:
        return bundle
    return dataclasses.replace(bundle, validation=with_noise(bundle, config))


def with_noise(bundle, config):
    """The validation data with the label noise of the training data, which it is a part of."""
    batches = list(bundle.validation.as_numpy_iterator())
    labels = np.concatenate([labels for _, labels in batches])
    if bundle.one_hot:
        labels = labels.argmax(-1)
    # Another seed than that of the training labels, whose moves these would repeat.
    noise = data.symmetric_label_noise(
        labels, config["label_noise"], bundle.classes, config["seed"] + 2**20
    )
    if bundle.one_hot:
        noise = np.eye(bundle.classes, dtype="float32")[noise]
    noise = tf.data.Dataset.from_tensor_slices(noise).batch(config["batch_size"])
    return tf.data.Dataset.zip(bundle.validation, noise).map(lambda old, new: (old[0], new))


def perturbation(config):
    """The run's rule, or None."""
    if config["rule"] is None:
        # Plain Keras 3.15 fails with several workers; ours with a radius of 0 trains as it does.
        return keras_zsharp.SAM(rho=0.0) if config.get("strategy") == "multiworker" else None
    rule = getattr(keras_zsharp, config["rule"], None)
    if rule is None:
        raise ValueError(f"keras_zsharp has no rule {config['rule']}")
    try:
        return rule(**config["settings"])
    except TypeError as error:
        raise ValueError(f"{config['rule']}: {error}") from error


def ascent_data(bundle, config, component):
    """The training data for `AscentFrom`: for batches other than the step's, in another order."""
    # Read once, since every reading counts as an epoch.
    batches = bundle.train.cache()
    if component != "batch":
        return batches
    shuffled = batches.unbatch().shuffle(bundle.sizes["train"], config["seed"])
    return shuffled.batch(config["batch_size"])


def build(config, bundle):
    """The network, and what trains it: itself or its sharpness-aware wrapper, compiled."""
    network = getattr(models, config["model"])(bundle.input_shape, bundle.classes)
    rule = perturbation(config)
    if rule is None:
        model = network
    elif component := config.get("ascent"):
        images = ascent_data(bundle, config, component)
        model = analysis.AscentFrom(network, rule, ascent_data=images, component=component)
    else:
        model = keras_zsharp.SharpnessAwareModel(network, rule)
    crossentropy = (
        keras.losses.CategoricalCrossentropy
        if bundle.one_hot
        else keras.losses.SparseCategoricalCrossentropy
    )
    model.compile(
        optimizers.build(config, len(bundle.train)),
        crossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    # An optimizer without variables would be left out when an interrupted run is restored.
    model.optimizer.build(model.trainable_variables)
    return network, model


def claim(config, folder):
    """Notes the settings in the folder; a ValueError where another or a finished run is in it."""
    config = {**config, "versions": versions()}
    path, finished = folder / "config.json", folder / "result.json"
    if path.exists() and json.loads(path.read_text()) != config:
        raise ValueError(f"--output has a run with other settings or versions: see {path}")
    if finished.exists():
        raise ValueError(f"--output has this run, finished: {finished.read_text()}")
    folder.mkdir(parents=True, exist_ok=True)
    write(path, config)


def train(config, bundle, network, model, folder, verbose=0, more=()):
    """Trains, or goes on training; writes what came of it, and gives it as a dict."""
    chief = is_chief(config.get("strategy"))
    backup = callbacks.Backup(folder / "backup", write=chief)
    first = backup.restore(model)
    model.fit(
        bundle.train,
        validation_data=bundle.validation or bundle.test,
        epochs=config["epochs"],
        initial_epoch=first,
        callbacks=[
            callbacks.Seconds(),
            *([callbacks.Tested(bundle.test)] if bundle.validation else []),
            # Before the backup: an epoch that is told twice does no harm, see `history`.
            *([keras.callbacks.CSVLogger(str(folder / "history.csv"), append=True)] * chief),
            backup,
            bundle.epochs,
            *more,
        ],
        verbose=verbose,
    )
    tested = model.evaluate(bundle.test, verbose=0, return_dict=True)
    if not chief:
        return None
    # Anew, without the optimizer, so that Keras alone can load it.
    keras.Model(network.inputs, network.outputs, name=network.name).save(folder / "model.keras")
    outcome = result(config, tested, history(folder))
    write(folder / "result.json", outcome)
    shutil.rmtree(backup.folder)
    return outcome


def result(config, tested, rows):
    """What `result.json` says of a run, from its test and its history."""
    curve = [row.get("test_accuracy", row["val_accuracy"]) for row in rows]
    return {
        "test_accuracy": float(tested["accuracy"]),
        "test_loss": float(tested["loss"]),
        "best_test_accuracy": max(curve),
        "validation_accuracy": rows[-1]["val_accuracy"] if config["validation"] else None,
        "train_loss": rows[-1]["loss"],
        "seed": config["seed"],
        "epochs": len(rows),
        "seconds": sum(row["seconds"] for row in rows),
        "versions": {**versions(), "python": platform.python_version()},
        "devices": [d.name for d in tf.config.list_logical_devices()],
    }


def prepare(config, folder, data_dir=None, strategy=None):
    """From the settings to what `train` takes: the bundle, the network, and what trains it."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(config["seed"])
    bundle = load(config, data_dir)
    with strategy.scope() if strategy else contextlib.nullcontext():
        network, model = build(config, bundle)
    if is_chief(config.get("strategy")):
        claim(config, folder)
    return bundle, network, model


def history(folder):
    """The epochs of a run as dicts of numbers; of those told twice, by a killed run, the last."""
    with open(folder / "history.csv", newline="", encoding="utf-8") as file:
        rows = {row["epoch"]: row for row in csv.DictReader(file)}
    return [{name: float(value) for name, value in row.items()} for row in rows.values()]


def write(path, content):
    """Writes JSON into a file, which is never there in part."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(partial, path)


def is_chief(strategy):
    """Whether this process writes: of the workers of a cluster, the first alone."""
    if strategy != "multiworker":
        return True
    return json.loads(os.environ["TF_CONFIG"])["task"]["index"] == 0
