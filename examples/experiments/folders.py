"""What the folder of a run says of it."""

import importlib.metadata
import json
import math
import shutil

import keras
import tensorflow as tf

from experiments import files, history

SETTINGS = ("epochs", "validation")
NUMBERS = ("test_accuracy", "best_test_accuracy", "train_loss", "seconds")


def versions():
    own = importlib.metadata.version("keras-zsharp")
    return {"keras": keras.version(), "tensorflow": tf.__version__, "keras-zsharp": own}


def noted(folder):
    """The settings and versions of the run in the folder; None where there is none."""
    path = folder / "config.json"
    return files.read(path, "versions", *SETTINGS) if path.exists() else None


def finished(folder, config):
    """The result of a run that is done, or None.

    Raises:
        Damaged: Of its files, which are all that a report is made of, one is not what it was.
    """
    path = folder / "result.json"
    if not path.exists():
        return None
    noted(folder)
    found = files.read(path, "epochs", *NUMBERS)
    names = [*NUMBERS, *["validation_accuracy"] * bool(config["validation"])]
    for name in names:
        if type(found.get(name)) not in (int, float) or (
            # The loss of a run that diverged is none.
            name != "train_loss" and not math.isfinite(found[name])
        ):
            raise files.Damaged(path, f"its {name!r} is no number")
    if found["epochs"] != config["epochs"]:
        raise files.Damaged(path, f"it is of {found['epochs']!r} epochs, not {config['epochs']}")
    history.read(folder / "history.csv", config["epochs"], config["validation"])
    return found


def claim(config, folder):
    """Notes the settings in the folder, and starts over what is damaged there.

    Raises:
        ValueError: Another run is in it, or this one, finished.
    """
    config = {**config, "versions": versions()}
    try:
        if noted(folder) not in (None, config):
            path = folder / "config.json"
            raise ValueError(f"--output has a run with other settings or versions: see {path}")
        if found := finished(folder, config):
            raise ValueError(f"--output has this run, finished: {json.dumps(found, indent=2)}")
    except files.Damaged as error:
        files.say(str(error))
        start_over(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files.write(folder / "config.json", config)


def start_over(folder):
    """Removes what a run has left, so that it is done from its start."""
    for name in ("backup", "config.json", "history.csv", "result.json"):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
