"""`keras_zsharp.backend.passes.Passes` on TensorFlow."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_zsharp import outside
from keras_zsharp.backend.passes import Outcome, Pass
from keras_zsharp.backend.scopes import PassesInScopes
from keras_zsharp.backend.tensorflow import devices, finite, gradients
from keras_zsharp.backend.tensorflow.carried import Operations, check_nothing_carried
from keras_zsharp.backend.tensorflow.checks import check_read_in_scope, check_second_pass
from keras_zsharp.backend.tensorflow.recording import recorded
from keras_zsharp.backend.tensorflow.scope import PassScope, assign_if
from keras_zsharp.backend.tensorflow.tensorflow_internals import outside_of_graph
from keras_zsharp.backend.tensorflow.written import nothing_written
from keras_zsharp.keras_internals import calling
from keras_zsharp.typing import Batch, Gradients, Nested, Tensor


class Passes(PassesInScopes):
    """`Passes` on TensorFlow."""

    scope = PassScope

    @property
    def cuts_at_run_time(self) -> bool:
        """XLA compiles a program for each size."""
        return self.model.run_eagerly or not self.model.jit_compile

    def run(self, before: Any, batch: Batch, at: Sequence[Tensor] | None = None) -> Pass:
        x, y, sample_weight = batch
        # Always new tensors: the weights of two passes must not be the same ones.
        values = self.weights(before) if at is None else map(tf.identity, at)
        scope, operations = PassScope(self.variables, values, before), Operations()

        def scaled():
            y_pred = calling.forward(self.model, x)
            loss = calling.compute_loss(self.model, x, y, y_pred, sample_weight)
            self._check(y_pred, sample_weight, scope.assigned())
            return self.model.optimizer.scale_loss(loss), loss, y_pred

        with nothing_written(self.model, operations), operations, scope:
            weights: Any = self.values(self.variables)
            (scaled_loss, loss, y_pred), tape = recorded(scaled, weights)
            check_read_in_scope(self.variables, tape)
            found = tape.gradient(scaled_loss, weights)
        return Pass(scope, loss, found, y_pred, operations)

    def rewound(self, clean: Pass) -> contextlib.AbstractContextManager[Any]:
        clean.state.rewind()
        return contextlib.nullcontext()

    def compare(self, clean: Pass, shifted: Pass) -> Sequence[str]:
        check_nothing_carried(clean.state.weights, clean.trace, shifted.trace)
        check_second_pass(self.variables, clean.gradients, shifted.gradients)
        return shifted.trace.drawing()

    def values(self, variables: Sequence[Any], scope: Any = None) -> list[Tensor]:
        with scope or contextlib.nullcontext():
            return [tf.convert_to_tensor(v) for v in variables]

    def decided(self, perturbs: Callable[[], bool | Tensor]) -> bool | Tensor:
        return perturbs()

    def either(self, condition: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
        if isinstance(condition, bool):
            return yes() if condition else no()
        return tf.cond(condition, yes, no)

    def dense(self, gradients_: Gradients, alone: bool = False) -> Gradients:
        sync = "replica" if alone else self.model.perturbation_sync
        return gradients.dense(gradients_, self.variables, sync)

    def unscaled(self, gradients_: Gradients, alone: bool = False) -> Gradients:
        return gradients.unscaled(self.dense(gradients_, alone), self.model.optimizer)

    def weighted(self, values: Sequence[Any], weights: Sequence[Any]) -> Any:
        return gradients.weighted(values, weights)

    def finite(self, loss: Tensor, gradients_: Gradients) -> Tensor:
        return finite.all_finite(loss, gradients_)

    def everywhere(self, finite_: Tensor) -> Tensor:
        return finite.on_all_replicas(finite_)

    def kept(self, always: bool = False) -> Any:
        return outside.put_back(self.model, always)

    def write(self, clean: PassScope, outcome: Outcome) -> None:
        # Nothing has been written so far. In a graph, all writing waits for the gradients: weight
        # decay and statistics would not wait by themselves. It waits for one operation: edges from
        # each write to each gradient would be millions.
        with tf.control_dependencies([g for g in outcome.gradients if g is not None]):
            both_passes_are_through = tf.no_op()
        with tf.control_dependencies([both_passes_are_through]):
            clean.commit(outcome.finite)
            pairs = zip(self.model.rule.variables, outcome.rule_state, strict=True)
            for variable, value in pairs:
                assign_if(outcome.finite, variable, value)
            finite.apply(self.model.optimizer, outcome.gradients, self.variables, outcome.finite)

    def logged(self, measure: Callable[[], Tensor], batch: Batch, y_pred: Nested) -> Any:
        with outside_of_graph():
            calling.build_metrics(self.model, batch[1], y_pred)
        logs = calling.logs_of(self.model, measure(), batch, y_pred)
        return devices.as_vectors(self.model.distribute_strategy, logs)
