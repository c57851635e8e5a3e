"""Keras' trainer on PyTorch, for a step of passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_zsharp.backend.torch import processes
from keras_zsharp.backend.torch.checks import check_modules
from keras_zsharp.keras_internals import tracking
from keras_zsharp.typing import Batch


class Trainer(tracking.MixinOfAModel):
    """Base of the step: what it asks of Keras' trainer."""

    build_for_training: Callable[[], None]
    """The step creates by it the variables that rule and optimizer lack."""

    def make_train_function(self, force: bool = False) -> Any:
        """`keras.Model.make_train_function`, after building rule and optimizer.

        Args:
            force: Whether to make it even if there is one.
        """
        check_modules(self)
        processes.check_distribution()
        self.build_for_training()
        return super().make_train_function(force)

    def build_in_step(self, batch: Batch) -> None:
        """All is built before the first step."""

    def count_devices(self) -> int:
        """The number of devices that share a batch.

        Returns:
            An int.
        """
        return 1
