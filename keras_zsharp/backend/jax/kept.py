"""The state of a step is kept until the step is through: after an error the model has it again."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import jax
import keras

from keras_zsharp import interrupts
from keras_zsharp.keras_internals import fitting


def _with_values_after_errors(name: str) -> Any:
    """The method of that name. If it raises an error, the variables have their values again."""

    @functools.wraps(getattr(keras.Model, name))
    def method(self, *args, **kwargs):
        try:
            return getattr(super(KeptState, self), name)(*args, **kwargs)
        except BaseException:
            fitting.leave_step(self)
            # The state may be that of a method which runs in another thread.
            if self.__dict__.get("_state_taken_by") == threading.get_ident():
                self.jax_state_sync()
            raise

    return method


class KeptState(fitting.StateOfATrainer):
    """Mixin of a `keras.Model` on JAX: an error or an interrupt leaves the model before the step.

    Keras empties the variables of a model that trains, evaluates or predicts, and gives their
    values to the step for good. What a step has not returned when an error comes is lost. Here the
    values are kept until the step is through, that is, until all that it returns is computed: an
    error in a compiled step shows no earlier.
    """

    fit = _with_values_after_errors("fit")
    evaluate = _with_values_after_errors("evaluate")
    predict = _with_values_after_errors("predict")
    train_on_batch = _with_values_after_errors("train_on_batch")
    test_on_batch = _with_values_after_errors("test_on_batch")
    predict_on_batch = _with_values_after_errors("predict_on_batch")

    def make_train_function(self, force: bool = False) -> None:
        """`keras.Model.make_train_function`, of a program that keeps the state.

        Args:
            force: Whether to make it even if there is one.
        """
        self._make("train_function", super().make_train_function, force)

    def make_test_function(self, force: bool = False) -> None:
        """As `make_train_function`.

        Args:
            force: As there.
        """
        self._make("test_function", super().make_test_function, force)

    def make_predict_function(self, force: bool = False) -> None:
        """As `make_train_function`.

        Args:
            force: As there.
        """
        self._make("predict_function", super().make_predict_function, force)

    def take_state(self, take: Callable[..., Any], **kinds: bool) -> Any:
        """Takes the values of the variables. From here on the trainer can put them back.

        Args:
            take: Keras' function that empties the variables.
            **kinds: Its arguments.

        Returns:
            The values.

        Raises:
            RuntimeError: The variables are empty.
        """
        with interrupts.held_back():
            fitting.check_not_empty(self)
            state = take(**kinds)
            fitting.set_trainer_state(self, kinds, state)
            self.__dict__["_state_taken_by"] = threading.get_ident()
        return state

    def put_back_state(self, put_back: Callable[[], None]) -> None:
        """Gives the variables the trainer's values: those before the last step if that has failed.

        Args:
            put_back: Keras' function that does so.

        Raises:
            Exception: The error of the last step.
        """
        state = fitting.trainer_state(self)
        if state is None:
            put_back()  # A class may have made more of it.
            return
        try:
            jax.block_until_ready(state)
        except BaseException:
            before = self.__dict__.get("_before_step")
            if before is not None:
                fitting.set_trainer_state(self, state, before)
            raise
        finally:
            with interrupts.held_back():
                put_back()
                self.__dict__["_before_step"] = None

    def _make(self, name, make, force):
        before = getattr(self, name)
        fitting.without_donating(lambda: make(force))
        made = getattr(self, name)
        if made is not before:
            setattr(self, name, self._keeping(made))

    def _keeping(self, function):
        def kept(state, iterator):
            # The step before is through, or raises its error here.
            jax.block_until_ready(state)
            self.__dict__["_before_step"] = before = tuple(state)
            fitting.enter_step(self)
            try:
                result = function(state, iterator)
            finally:
                fitting.leave_step(self)
            # Who has read a weight in the step has put back the state before it.
            self.__dict__["_before_step"] = before
            fitting.keep_trainer_state(self)
            return result

        return kept
