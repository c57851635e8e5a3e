"""One run: it trains what a dict of settings names, and leaves a folder.

The folder gets `config.json`, `history.csv`, a line per epoch, and at last `model.keras` and
`result.json`. Until then, `backup` has the state after the last whole epoch.
"""

import platform
import shutil

import keras
import tensorflow as tf

from experiments import building, files, folders, history, provenance
from keras_zsharp.callbacks import Backup, DamagedBackup


def do(config, folder, *, wait=True, deterministic=False, cpus=None, **options):
    """Trains, or goes on training, unless the run is finished; gives its result.

    A run that was killed goes on after its last whole epoch, as if it had never been interrupted.
    One whose files are damaged starts over.

    Args:
        config: The settings, as `experiments.grid.Run.config` has them.
        folder: Of the run.
        wait: Whether to wait for another process that does the run.
        deterministic: Whether TensorFlow's ops are.
        cpus: How many cores TensorFlow uses for an op; by default all.
        **options: Those of `train`.
    """
    if cpus:
        tf.config.threading.set_intra_op_parallelism_threads(cpus)
    if keras.backend.backend() != "tensorflow":
        tf.config.set_visible_devices([], "GPU")  # Its pipelines need none, and it would fill all.
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    with files.locked(folder, wait):
        try:
            found = folders.finished(folder, config)
            return found.result if found else train(config, folder, **options)
        except files.Damaged as error:
            files.say(str(error))
            folders.clear(folder)
        return train(config, folder, **options)


def train(config, folder, data_dir=None, command=None, verbose=0, tell=None):
    """The same for a run that is not finished; raises `Damaged` where what it has left is.

    Args:
        data_dir: Folder of tensorflow-datasets.
        command: That asked for the run; by default this process' own.
        verbose: As in Keras' `fit`.
        tell: Is called with the bundle of the data and the network before the training.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(config["seed"])
    bundle = building.dataset(config, data_dir)
    with building.scope(config):
        network, model = building.network(config, bundle)
    folders.begin(folder, config)
    if tell:
        tell(bundle, network)
    try:
        fit(config, bundle, model, folder, verbose)
    except DamagedBackup as error:
        raise files.Damaged(folder / "backup", error) from error
    result = {**test(config, bundle, model, folder), "provenance": provenance.now(command)}
    with files.whole(folder / "model.keras") as partial:
        network.save(partial)
    files.write(folder / "result.json", result)
    shutil.rmtree(folder / "backup")
    return result


def fit(config, bundle, model, folder, verbose):
    model.fit(
        bundle.train,
        validation_data=bundle.validation or bundle.test,
        epochs=config["epochs"],
        callbacks=[
            history.Seconds(),
            *([history.TestAccuracy(bundle.test)] if bundle.validation else []),
            # Before the backup, which keeps what it has written so far.
            history.HistoryFile(folder / "history.csv"),
            # Kept until the result is there: a run that is killed before does not train anew.
            Backup(folder / "backup", delete_checkpoint=False),
            bundle.epoch_order,
        ],
        verbose=verbose,
    )


def test(config, bundle, model, folder):
    """What `result.json` says of a trained model and its history."""
    tested = model.evaluate(bundle.test, verbose=0, return_dict=True)
    noisy = building.noisy_validation(bundle, config) if config.get("clean_validation") else None
    if noisy is not None:
        noisy = model.evaluate(noisy, verbose=0, return_dict=True)["accuracy"]
    validated = config["validation"]
    told = history.read(folder / "history.csv", config["epochs"], validated)
    last = told.iloc[-1]
    return {
        "test_accuracy": float(tested["accuracy"]),
        "test_loss": float(tested["loss"]),
        "best_test_accuracy": float(told["test_accuracy" if validated else "val_accuracy"].max()),
        "validation_accuracy": float(last["val_accuracy"]) if validated else None,
        "noisy_validation_accuracy": noisy,
        "train_loss": float(last["loss"]),
        "seed": config["seed"],
        "epochs": len(told),
        "seconds": float(told["seconds"].sum()),
        "duration": float(told["duration"].sum()),
        "versions": {**provenance.versions(), "python": platform.python_version()},
        "devices": building.devices(),
    }
