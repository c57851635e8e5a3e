import keras
from keras import ops

from keras_zsharp.tracing import is_traced

Schedule = keras.optimizers.schedules.LearningRateSchedule


class Hyperparameter:
    """A number of a rule that may be set at any time, also while training, or follow a schedule.

    As a class attribute, `rho = Hyperparameter(check)`; the constructor assigns `self.rho`. It
    reads as a float, with a schedule as that of the next perturbation; in a graph, as a tensor. A
    step computes with `tensor`: the number is a variable, so that no graph has to be traced anew.

    Args:
        check: Function from what the user assigned to a float; raises if it is out of bounds.
        dtype: Of the variable.
    """

    def __init__(self, check, dtype="float32"):
        self._check = check
        self._dtype = dtype

    def __set_name__(self, owner, name):
        self._name, self._stored = name, f"_{name}"

    def __get__(self, rule, owner=None):
        if rule is None:
            return self
        rule.sync()
        tensor = self.tensor(rule)
        if is_traced(tensor):
            return tensor
        # The shortest decimal of a float32: 0.05 rather than 0.05000000074505806.
        return float(str(ops.convert_to_numpy(tensor)[()]))

    def __set__(self, rule, value):
        rule.sync()
        stored = getattr(rule, self._stored, None)
        if isinstance(stored, Schedule):
            raise TypeError(
                f"`{self._name}` of this {type(rule).__name__} follows {type(stored).__name__} and "
                "cannot be assigned. Make the rule with a number to set it while training."
            )
        if stored is not None:
            stored.assign(self._check(value))
            rule.changed()
        elif isinstance(value, Schedule):
            rule.count()
            setattr(rule, self._stored, value)
        else:
            number = self._check(value)
            setattr(rule, self._stored, rule.add_scalar(self._name, number, self._dtype))

    def tensor(self, rule):
        """This step's value as a scalar tensor; a schedule's is of float32."""
        stored = getattr(rule, self._stored)
        if isinstance(stored, Schedule):
            return ops.cast(stored(rule.count()), "float32")
        # `convert_to_tensor` takes a variable for a tensor.
        return ops.cast(stored, stored.dtype)

    def to_config(self, rule):
        """A float, or a serialized schedule."""
        stored = getattr(rule, self._stored)
        if isinstance(stored, Schedule):
            return keras.optimizers.schedules.serialize(stored)
        return self.__get__(rule)

    @staticmethod
    def from_config(value):
        """What `to_config` was made from."""
        return keras.optimizers.schedules.deserialize(value) if isinstance(value, dict) else value
