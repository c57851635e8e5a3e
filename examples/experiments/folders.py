"""The folder of a run: `config.json`, `history.csv`, and at last `model.keras`, `result.json`."""

import dataclasses
import json
import math
import shutil

import pandas as pd

from experiments import files, history, provenance

NUMBERS = ("test_accuracy", "best_test_accuracy", "train_loss", "seconds")


@dataclasses.dataclass(frozen=True)
class Finished:
    """What a finished run says: its settings, `result.json` and `history.csv`."""

    settings: dict
    result: dict
    history: pd.DataFrame


def finished(folder, config=None):
    """The `Finished` run in a folder; None where none is; or raises `Damaged`.

    A run with other settings than `config`, if these are given, is a `ValueError`.
    """
    if not (folder / "config.json").exists() and not (folder / "result.json").exists():
        return None
    settings, versions = _settings(folder, config)
    path = folder / "result.json"
    if not path.exists():
        return None
    with files.reading(path):
        result = json.loads(path.read_text(encoding="utf-8"))
        for name in (*NUMBERS, *["validation_accuracy"] * bool(settings["validation"])):
            # A run that diverged has no finite loss.
            if not math.isfinite(result[name]) and name != "train_loss":
                raise ValueError(f"{name}={result[name]}")
        if result["epochs"] != settings["epochs"]:
            raise ValueError(f"epochs={result['epochs']}")
        result["versions"] = versions | result.get("versions", {})
    told = history.read(folder / "history.csv", settings["epochs"], settings["validation"])
    return Finished(settings, result, told)


def look(folder, config=None):
    """The same, but says which file is damaged: that run is not finished."""
    try:
        return finished(folder, config)
    except files.Damaged as error:
        return files.say(str(error))


def restore(folder, run):
    """Makes the folder that of a `Finished` run, without its network."""
    with files.locked(folder, wait=True):
        clear(folder)
        files.write(folder / "config.json", {**run.settings, "versions": run.result["versions"]})
        with files.whole(folder / "history.csv") as partial:
            run.history.to_csv(partial, index=False, na_rep="nan")
        # At last: with it the run is finished.
        files.write(folder / "result.json", run.result)


def begin(folder, config):
    """Writes the settings of a run that begins, or goes on.

    A run with other settings, or of other versions, is a `ValueError`.
    """
    own = provenance.versions()
    if (folder / "config.json").exists():
        _, its = _settings(folder, config)
        if differs := ", ".join(name for name in own if own[name] != its.get(name)):
            raise ValueError(f"{folder} has a run that another version has begun ({differs})")
    files.write(folder / "config.json", {**config, "versions": own})


def clear(folder):
    """Removes what a run has left, so that it is done from its start."""
    for name in ("backup", "config.json", "history.csv", "result.json"):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _settings(folder, config):
    """The settings of the folder's run, which must be `config`, and the versions that began it."""
    path = folder / "config.json"
    with files.reading(path):
        settings = json.loads(path.read_text(encoding="utf-8"))
        versions = dict(settings.pop("versions"))
    if config is not None and settings != json.loads(json.dumps(config)):
        raise ValueError(f"{folder} has a run with other settings: see {path}")
    return settings, versions
