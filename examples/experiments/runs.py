"""One run: what it trains, as a dict of settings, and the folder that it leaves.

The folder gets `config.json`, `history.csv`, a line per epoch, and at last `model.keras` and
`result.json`. Before, `backup` has the state after the last whole epoch.
"""

import contextlib
import json
import os
import platform
import shutil

import keras
import tensorflow as tf

from experiments import callbacks, files, folders, history, parts, provenance
from keras_zsharp.callbacks import Backup, DamagedBackup


def prepare(config, folder, data_dir=None, strategy=None):
    """From the settings to what `train` takes: the bundle, the network, and what trains it."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(config["seed"])
    bundle = parts.load(config, data_dir)
    with strategy.scope() if strategy else contextlib.nullcontext():
        network, model = parts.build(config, bundle)
    if is_chief(config.get("strategy")):
        folders.claim(config, folder)
    return bundle, network, model


def train(config, bundle, network, model, folder, verbose=0, more=()):
    """Trains, or goes on training; writes what came of it, and gives it as a dict.

    Raises:
        Damaged: The history of what went before is, or all backups. The run is to be prepared and
            trained anew.
        OSError: A file cannot be written. Given room, the run goes on from its last whole epoch.
    """
    try:
        return _train(config, bundle, network, model, folder, verbose, more)
    except files.Damaged:
        folders.start_over(folder)
        raise
    except DamagedBackup as error:
        folders.start_over(folder)
        raise files.Damaged(folder / "backup", str(error)) from error
    except OSError as error:
        files.remove_half_written(error)
        raise


def _train(config, bundle, network, model, folder, verbose, more):
    chief = is_chief(config.get("strategy"))
    told = folder / "history.csv"
    # Kept until the result is there: a run that is killed before then does not train anew.
    backup = Backup(folder / "backup", delete_checkpoint=False)
    model.fit(
        bundle.train,
        validation_data=bundle.validation or bundle.test,
        epochs=config["epochs"],
        callbacks=[
            callbacks.Seconds(),
            *([callbacks.Tested(bundle.test)] if bundle.validation else []),
            # Before the backup, which says how much of the history counts.
            *([history.HistoryFile(told, config["validation"])] * chief),
            backup,
            bundle.epoch_order,
            *more,
        ],
        verbose=verbose,
    )
    tested = model.evaluate(bundle.test, verbose=0, return_dict=True)
    noisy = parts.noisy_validation(bundle, config) if config.get("clean_validation") else None
    if noisy is not None:
        noisy = model.evaluate(noisy, verbose=0, return_dict=True)["accuracy"]
    if not chief:
        return None
    rows = history.read(told, config["epochs"], config["validation"])
    with files.whole(folder / "model.keras") as partial:
        network.save(partial)
    outcome = result(config, tested, noisy, rows)
    files.write(folder / "result.json", outcome)
    shutil.rmtree(backup.folder)
    return outcome


def result(config, tested, noisy, rows):
    """What `result.json` says of a run: from its test, noisy validation data, and its history."""
    curve = [row["test_accuracy" if config["validation"] else "val_accuracy"] for row in rows]
    return {
        "test_accuracy": float(tested["accuracy"]),
        "test_loss": float(tested["loss"]),
        "best_test_accuracy": max(curve),
        "validation_accuracy": rows[-1]["val_accuracy"] if config["validation"] else None,
        "noisy_validation_accuracy": noisy,
        "train_loss": rows[-1]["loss"],
        "seed": config["seed"],
        "epochs": len(rows),
        "seconds": sum(row["seconds"] for row in rows),
        "duration": sum(row["duration"] for row in rows),
        "versions": {**folders.versions(), "python": platform.python_version()},
        "provenance": provenance.now(),
        "devices": [d.name for d in tf.config.list_logical_devices()],
    }


def is_chief(strategy):
    """Whether this process writes: of the workers of a cluster, the first alone."""
    if strategy != "multiworker":
        return True
    return json.loads(os.environ["TF_CONFIG"])["task"]["index"] == 0
