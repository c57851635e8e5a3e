"""Keras' trainer on JAX, for a step of passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from keras_zsharp.backend.jax import devices
from keras_zsharp.backend.jax.checks import check_mode
from keras_zsharp.backend.jax.kept import KeptState
from keras_zsharp.backend.jax.passes import Passes
from keras_zsharp.backend.jax.state import Decided, check_complete
from keras_zsharp.typing import Batch


class Trainer(KeptState):
    """Base of the step: what it asks of Keras' trainer. The step is a function of the state."""

    build_for_training: Callable[[], None]
    """The step creates by it the variables that rule and optimizer lack."""
    perturbs_in: Callable[[Passes], Any]
    """Whether the step of some passes perturbs."""
    decides_by_tensors: Callable[[], bool]
    """Whether JAX can compile what decides that."""

    def make_train_function(self, force: bool = False) -> Any:
        """`keras.Model.make_train_function`, after checking the devices and building the rule.

        Args:
            force: Whether to make it even if there is one.
        """
        check_mode()
        devices.check_devices(self)
        # Before Keras takes the first state: it would lack variables that are made while tracing.
        self.build_for_training()
        check_complete(self)
        before = self.train_function
        super().make_train_function(force)
        compiled = self.jit_compile and not self.run_eagerly
        if self.train_function is not before and compiled and self.steps_per_execution == 1:
            self.train_function = self._choosing_programs(self.train_function)

    def build_in_step(self, batch: Batch) -> None:
        """All is built before the step is traced."""

    def count_devices(self) -> int:
        """The number of devices that share a batch, or the weights.

        Returns:
            An int.
        """
        return devices.count_devices()

    def _choosing_programs(self, train_function):
        """The train function, whose steps know from the state whether they perturb.

        On a CPU, XLA runs convolutions in a branch many times slower: each kind of step has its own
        program there, and wherever their passes differ in size. Elsewhere the program chooses, and
        the host does not wait for it.
        """

        def perturbs(state):
            return self.perturbs_in(Passes(self, None, state))

        decide = jax.jit(perturbs) if self.decides_by_tensors() else perturbs

        def chosen(state, iterator):
            depends = self.every_step_perturbs is None
            if depends and (devices.on_cpu() or self.ascent_fraction < 1):
                state = Decided(state, perturbs=bool(decide(state)))
            return train_function(state, iterator)

        return chosen
