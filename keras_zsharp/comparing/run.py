"""One run of a comparison, and the file that says that it is finished."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import pathlib
import shutil
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_zsharp.comparing import provenance
from keras_zsharp.comparing.method import Method, as_text, in_words, slug

RESULT = "result.json"


class WrongReturn(ValueError):
    """`train` returns something else than numbers by name. All runs would."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One training: a method with one choice of its values, and a seed."""

    train: Callable[..., Mapping[str, Any]]
    label: str
    method: Method
    choice: Mapping[str, Any]
    seed: int
    folder: pathlib.Path | None
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of its folder."""
        words = filter(None, (self.label, in_words(as_text(self.choice)), f"seed{self.seed}"))
        return slug("-".join(words))

    @property
    def settings(self) -> dict[str, Any]:
        """All that says what it computes, but for `train`."""
        return {"method": self.label, **self.method.settings(self.choice), "seed": self.seed}

    def finished(self) -> dict[str, Any] | None:
        """What the run has returned, where its folder says so.

        Raises:
            ValueError: The folder has a run with other settings, or a damaged file.
        """
        if self.folder is None or not (path := self.folder / RESULT).exists():
            return None
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            settings = found["settings"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged. Remove it, to do its run again") from error
        if settings != self.settings:
            raise ValueError(
                f"`folder` must have no run with other settings. {path} has {settings}, "
                f"and this one is {self.settings}: give another folder, or another label"
            )
        return found

    def do(self) -> dict[str, Any]:
        """Trains, unless the run is finished.

        Keras' state is cleared and its seeds are set before, so that a run is the same in whichever
        process and order.
        """
        if found := self.finished():
            return found
        keras.utils.clear_session()
        keras.utils.set_random_seed(self.seed)
        arguments = self.method.options_with(self.choice)
        if "folder" in inspect.signature(self.train).parameters:
            if self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
            arguments["folder"] = self.folder
        begun = time.perf_counter()
        returned = self.train(self.method.rule_with(self.choice), self.seed, **arguments)
        took = time.perf_counter() - begun
        metrics, history = _checked(returned, self.needs)
        found = {
            "settings": self.settings,
            "metrics": {"seconds": took, **metrics},
            "history": history,
            "provenance": provenance.now(),
        }
        if self.folder is not None:
            _keep(found, self.folder)
        return found


def _keep(found, folder):
    """Writes the file that says that a run is finished, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"partial-{RESULT}"
    partial.write_text(json.dumps(found), encoding="utf-8")
    os.replace(partial, folder / RESULT)
    shutil.rmtree(folder / "backup", ignore_errors=True)


def _checked(returned, needs):
    """The metrics and the history that `train` has returned."""
    if not isinstance(returned, Mapping):
        raise WrongReturn(
            "`train` must return a dict with numbers by the names of metrics. "
            f"Received: {returned!r}"
        )
    history = returned.get("history", {})
    try:
        history = {
            name: [None if value is None else float(value) for value in values]
            for name, values in getattr(history, "history", history).items()
        }
        metrics = {name: float(value) for name, value in returned.items() if name != "history"}
    except Exception as error:
        raise WrongReturn(
            "`train` must return numbers by the names of metrics, and lists of numbers as "
            f"`history`. Received: {returned!r}"
        ) from error
    if missing := [name for name in needs if name not in metrics]:
        raise WrongReturn(
            "`train` must return what `metric` and `choose_by` name. "
            f"Received: {sorted(metrics)} without {', '.join(map(repr, missing))}"
        )
    return metrics, history
