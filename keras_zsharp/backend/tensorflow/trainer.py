"""Keras' trainer on TensorFlow, for a step of passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_zsharp.backend.tensorflow import devices
from keras_zsharp.backend.tensorflow.tensorflow_internals import outside_of_graph
from keras_zsharp.keras_internals import calling, fitting, tracking
from keras_zsharp.typing import Batch, Logs


class Trainer(fitting.BuiltFromABatch):
    """Base of the step: what it asks of Keras' trainer."""

    build_for_training: Callable[[], None]
    """The step creates by it the variables that rule and optimizer lack."""

    def make_train_function(self, force: bool = False) -> Any:
        """`keras.Model.make_train_function`, after checking the devices.

        Args:
            force: Whether to make it even if there is one.
        """
        devices.check_devices(self)
        return super().make_train_function(force)

    def build_in_step(self, batch: Batch) -> None:
        """Creates the variables that model, rule and optimizer lack as the step is traced.

        Args:
            batch: Tuple of inputs, targets and sample weights.
        """
        with outside_of_graph():
            if not tracking.is_built(self):
                calling.build(self, batch[0])
            self.build_for_training()

    def train_step(self, data: Any) -> Logs:
        """`keras.Model.train_step`, of a model without weights.

        Args:
            data: A batch, as Keras' trainer passes it.

        Returns:
            The logs.
        """
        return devices.as_vectors(self.distribute_strategy, super().train_step(data))

    def test_step(self, data: Any) -> Logs:
        """`keras.Model.test_step`.

        Args:
            data: As in `train_step`.

        Returns:
            The logs.
        """
        return devices.as_vectors(self.distribute_strategy, super().test_step(data))

    def count_devices(self) -> int:
        """The number of devices that share a batch.

        Returns:
            An int.
        """
        return self.distribute_strategy.num_replicas_in_sync

    def _before_building(self, iterator, data_batch):
        strategy = self.distribute_strategy
        if iterator is not None and tracking.is_distributed(self):
            return None, devices.first_batch(strategy, iterator)
        if iterator is not None and not self.built:
            # Keras would build it in the first step, after callbacks have restored weights.
            fitting.build_as_iterated(self, iterator)
        return iterator, data_batch
