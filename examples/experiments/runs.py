"""One run: what it trains, as a dict of settings, and the folder that it leaves.

The folder gets `config.json`, `history.csv`, a line per epoch, and at last `model.keras` and
`result.json`. Before, `backup` has the state after the last whole epoch.
"""

import platform
import shutil

import keras
import tensorflow as tf

from experiments import callbacks, files, folders, history, parts, provenance
from keras_zsharp.callbacks import Backup, DamagedBackup


def do(config, folder, *, wait=True, deterministic=False, cpus=None, **options):
    """Trains, or goes on training, unless the run is finished; gives its result.

    A run is done by one process at a time: what a killed one has left goes on from its last whole
    epoch, as if it had never been interrupted, and where its files are damaged, from the start.

    Args:
        config: The settings, as `experiments.grid.Run.config` has them.
        folder: Of the run.
        wait: Whether to wait for another process that does the run.
        deterministic: Whether TensorFlow's ops are.
        cpus: How many cores TensorFlow uses for an op; by default all.
        **options: Those of `train`.

    Raises:
        experiments.files.Occupied: Another process does it.
        OSError: A file cannot be written. Given room, the run goes on from its last whole epoch.
        ValueError: The folder has another run.
    """
    if cpus:
        tf.config.threading.set_intra_op_parallelism_threads(cpus)
    if keras.backend.backend() != "tensorflow":
        tf.config.set_visible_devices([], "GPU")  # Its pipelines need none, and it would fill all.
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    with files.locked(folder, wait):
        try:
            return folders.finished(folder, config) or train(config, folder, **options)
        except files.Damaged as error:
            files.say(str(error))
            folders.start_over(folder)
        return train(config, folder, **options)


def train(config, folder, data_dir=None, command=None, verbose=0, more=(), told=None):
    """The same, without a look at what there is.

    Args:
        data_dir: Folder of tensorflow-datasets.
        command: That did it, for `experiments.provenance`; by default this process' own.
        verbose: As in Keras' `fit`.
        more: Callbacks.
        told: What is called with the bundle of the data and the network before the training.

    Raises:
        Damaged: The history of what went before is, or all backups.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(config["seed"])
    bundle = parts.load(config, data_dir)
    with parts.scope(config):
        network, model = parts.build(config, bundle)
    folders.claim(config, folder)
    if told:
        told(bundle, network)
    backup = folder / "backup"
    try:
        fit(config, bundle, model, folder, verbose, more)
        outcome = {**test(config, bundle, model, folder), "provenance": provenance.now(command)}
        with files.whole(folder / "model.keras") as partial:
            network.save(partial)
        files.write(folder / "result.json", outcome)
    except DamagedBackup as error:
        raise files.Damaged(backup, str(error)) from error
    except OSError as error:
        files.remove_half_written(error)
        raise
    shutil.rmtree(backup)
    return outcome


def fit(config, bundle, model, folder, verbose, more):
    model.fit(
        bundle.train,
        validation_data=bundle.validation or bundle.test,
        epochs=config["epochs"],
        callbacks=[
            callbacks.Seconds(),
            *([callbacks.Tested(bundle.test)] if bundle.validation else []),
            # Before the backup, which says how much of the history counts.
            history.HistoryFile(folder / "history.csv", config["validation"]),
            # Kept until the result is there: a run that is killed before does not train anew.
            Backup(folder / "backup", delete_checkpoint=False),
            bundle.epoch_order,
            *more,
        ],
        verbose=verbose,
    )


def test(config, bundle, model, folder):
    """What `result.json` says of a trained model and its history."""
    tested = model.evaluate(bundle.test, verbose=0, return_dict=True)
    noisy = parts.noisy_validation(bundle, config) if config.get("clean_validation") else None
    if noisy is not None:
        noisy = model.evaluate(noisy, verbose=0, return_dict=True)["accuracy"]
    rows = history.read(folder / "history.csv", config["epochs"], config["validation"])
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
        "devices": parts.devices(),
    }
