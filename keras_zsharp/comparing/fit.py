"""`train` of `compare`, for a model that a function builds and data at hand."""

from __future__ import annotations

import inspect
import pathlib
import time
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_zsharp.callbacks import Backup
from keras_zsharp.checks import flag
from keras_zsharp.in_place import sharpness_aware
from keras_zsharp.keras_internals import optimizers
from keras_zsharp.rules import Rule
from keras_zsharp.training import turns
from keras_zsharp.training.options import NAMES

OF_FIT = frozenset(inspect.signature(keras.Model.fit).parameters) - {"self", "x", "callbacks"}


class Fit:
    """Builds a model, trains it with `fit`, and evaluates it: `train` of `compare`.

    Args:
        build: A function that returns a compiled `keras.Model`. Whatever options of a method are
            neither of the step nor of `fit`, such as a `learning_rate`, are its arguments.
        train: Training data, as `fit` takes it: a tuple `(x, y)`, a `PyDataset`, a
            `tf.data.Dataset` or a `DataLoader`.
        validation: Held-out data to choose by, in the same form. Its metrics are `val_loss` and
            the like. None: there are none.
        test: Data to compare by, which chooses nothing. Its metrics are `test_loss` and the like.
        callbacks: A function that returns new callbacks for a run. A method may have an option
            `callbacks`, another such function: its callbacks come after these.
        test_each_epoch: Whether to evaluate on `test` after every epoch, for curves.
        measures: A function of the trained model that returns further metrics, a dict of numbers.
        **fit: Arguments of `fit`, such as `epochs` and `batch_size`. A method's options go before.

    A run returns the metrics of the model as `fit` leaves it, with `EarlyStopping` that of the best
    epoch; `loss`, the last of training; `seconds` of the epochs' steps; `passes`, the number of
    passes forward and backward over the data; and `history` by epochs.

    Raises:
        TypeError: `build`, `callbacks` or `measures` is no function; an argument of `fit` is
            unknown.
    """

    def __init__(
        self,
        build: Callable[..., keras.Model],
        train: Any,
        validation: Any = None,
        test: Any = None,
        callbacks: Callable[[], list[keras.callbacks.Callback]] = list,
        test_each_epoch: bool = False,
        measures: Callable[[keras.Model], dict[str, float]] = lambda model: {},
        **fit: Any,
    ) -> None:
        functions = {"build": build, "callbacks": callbacks, "measures": measures}
        for name, function in functions.items():
            if not callable(function):
                raise TypeError(f"`{name}` must be a function. Received: {name}={function!r}")
        if unknown := sorted(fit.keys() - OF_FIT):
            raise TypeError(f"`fit` has no argument {', '.join(unknown)}. It has {sorted(OF_FIT)}")
        self.build, self.callbacks, self.fit = build, callbacks, fit
        self.train, self.validation, self.test = train, validation, test
        self.measures = measures
        self.test_each_epoch = flag("test_each_epoch", test_each_epoch)

    def __call__(
        self,
        rule: Rule | None,
        seed: int,
        folder: pathlib.Path | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Does one run.

        Args:
            rule: A rule, or None for the optimizer alone.
            seed: Of the run. `compare` has set it.
            folder: For the backup of a run that may be killed.
            **options: Those of the method.

        Returns:
            Numbers by the names of metrics, and the history.
        """
        step = {name: options.pop(name) for name in NAMES if name in options}
        fit = {**self.fit, **{name: options.pop(name) for name in OF_FIT & options.keys()}}
        if rule is None and step:
            raise ValueError(f"{', '.join(step)} must be given with a rule. Received: rule=None")
        callbacks = [*self.callbacks(), *options.pop("callbacks", list)()]
        model = self.build(**options)
        if rule is not None:
            sharpness_aware(model, rule, **step)
        epochs = Epochs(self.test if self.test_each_epoch else None, fit.get("batch_size"))
        backup = [Backup(folder / "backup", delete_checkpoint=False)] if folder else []
        if self.validation is not None:
            fit["validation_data"] = self.validation
        model.fit(
            *(self.train if isinstance(self.train, tuple) else (self.train,)),
            callbacks=[*callbacks, epochs, *backup],
            **{"verbose": 0, **fit},
        )
        found = self._evaluated(model, fit.get("batch_size"))
        return {**self.measures(model), **found, **epochs.result()}

    def _evaluated(self, model, batch_size):
        found = {}
        for prefix, its in {"val": self.validation, "test": self.test}.items():
            if its is not None:
                metrics = evaluated(model, its, batch_size)
                found |= {f"{prefix}_{name}": value for name, value in metrics.items()}
        return found


def evaluated(model: keras.Model, its: Any, batch_size: int | None) -> dict[str, float]:
    """The metrics on data, by name."""
    arrays = isinstance(its, tuple)
    metrics: Any = model.evaluate(
        *(its if arrays else (its,)),
        batch_size=batch_size if arrays else None,
        verbose=0,
        return_dict=True,
    )
    return {name: float(value) for name, value in metrics.items()}


class Epochs(keras.callbacks.Callback):
    """Keeps the logs of every epoch, with the seconds of its steps and the passes that they took.

    Between steps Keras has work of its own, which on small data takes as long as the steps.
    """

    def __init__(self, test: Any, batch_size: int | None) -> None:
        super().__init__()
        self._test, self._batch_size = test, batch_size
        self.rows: list[dict[str, float]] = []

    def on_epoch_begin(self, epoch, logs=None):
        self._seconds, self._batches = 0.0, 0

    def on_train_batch_begin(self, batch, logs=None):
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self._seconds += time.perf_counter() - self._started
        self._batches = batch + 1

    def on_epoch_end(self, epoch, logs=None):
        row = {name: float(value) for name, value in (logs or {}).items()}
        row |= {"seconds": self._seconds, "passes": passes(self.model, self._batches)}
        if self._test is not None:
            tested = evaluated(self.model, self._test, self._batch_size)
            row |= {f"test_{name}": value for name, value in tested.items()}
        self.rows.append(row)

    def result(self) -> dict[str, Any]:
        """The last loss, the sums of seconds and passes, and the history."""
        sums = {name: sum(row[name] for row in self.rows) for name in ("seconds", "passes")}
        names = dict.fromkeys(name for row in self.rows for name in row)
        history = {name: [row.get(name) for row in self.rows] for name in names}
        return {"loss": self.rows[-1]["loss"], **sums, "history": history}


def passes(model: Any, batches: int) -> float:
    """Passes over the data of an epoch that has ended, as a multiple of the epoch."""
    if (rule := getattr(model, "rule", None)) is None:
        return 1.0
    extra = model.ascent_fraction if rule.reads == "gradients" else 0.0
    if (every := turns.settled(model)) is not None:
        return 1 + every * extra
    accumulated = optimizers.accumulates(model.optimizer)
    now = int(ops.convert_to_numpy(optimizers.steps_taken(model.optimizer)))
    steps = range(max(0, now - batches // accumulated), now)
    perturbed = [bool(turns.perturbs(model, ops.convert_to_tensor(step))) for step in steps]
    return 1 + extra * sum(perturbed) / max(1, len(perturbed))
