"""One run: what it trains, as a dict of settings, and the folder that it leaves.

The folder gets `config.json`, `history.csv`, a line per epoch, and at last `model.keras` and
`result.json`. Before, `backup` has the state after the last whole epoch.
"""

import contextlib
import csv
import importlib.metadata
import json
import os
import platform
import shutil

import keras
import tensorflow as tf

from experiments import callbacks, parts


def prepare(config, folder, data_dir=None, strategy=None):
    """From the settings to what `train` takes: the bundle, the network, and what trains it."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(config["seed"])
    bundle = parts.load(config, data_dir)
    with strategy.scope() if strategy else contextlib.nullcontext():
        network, model = parts.build(config, bundle)
    if is_chief(config.get("strategy")):
        claim(config, folder)
    return bundle, network, model


def versions():
    own = importlib.metadata.version("keras-zsharp")
    return {"keras": keras.version(), "tensorflow": tf.__version__, "keras-zsharp": own}


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
    network.save(folder / "model.keras")
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
