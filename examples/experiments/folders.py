"""What the folder of a run says of it."""

import importlib.metadata
import json
import math
import shutil
import sys

import keras

from experiments import files, history, provenance

NUMBERS = ("test_accuracy", "best_test_accuracy", "train_loss", "seconds")


def versions():
    """What a run that goes on, and runs that are compared, must have in common."""
    backend = keras.backend.backend()
    return {
        "keras": keras.version(),
        backend: sys.modules[backend].__version__,
        "keras-zsharp": importlib.metadata.version("keras-zsharp"),
        "commit": provenance.source()["commit"],
    }


def noted(folder, config):
    """The versions of the run in the folder; None where there is none.

    Raises:
        Damaged: Its settings are no settings.
        ValueError: They are not those of `config`.
    """
    path = folder / "config.json"
    if not path.exists():
        return None
    found = files.read(path, "versions", "epochs", "validation")
    its = found.pop("versions")
    if found != json.loads(json.dumps(config)):
        raise ValueError(f"--output has a run with other settings: see {path}")
    return its


def finished(folder, config):
    """The result of a run that is done, or None.

    Raises:
        Damaged: Of its files, which are all that a report is made of, one is not what it was.
        ValueError: As `noted` does.
    """
    path = folder / "result.json"
    its = noted(folder, config)
    if not path.exists():
        return None
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
    return {**found, "versions": (its or {}) | found.get("versions", {})}


def claim(config, folder):
    """Notes the settings in the folder.

    Raises:
        ValueError: Another run is in it, or one that other versions have begun.
    """
    own, its = versions(), noted(folder, config)
    if its not in (None, own):
        path = folder / "config.json"
        differs = ", ".join(name for name in own if own[name] != its.get(name))
        raise ValueError(f"--output has a run that another version has begun ({differs}): {path}")
    files.write(folder / "config.json", {**config, "versions": own})


def start_over(folder):
    """Removes what a run has left, so that it is done from its start."""
    for name in ("backup", "config.json", "history.csv", "result.json"):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
