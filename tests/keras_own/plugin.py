"""A pytest plugin with which every Keras model trains by our step, at rho = 0.

    python -m pytest -p tests.keras_own.plugin -c /dev/null .../site-packages/keras/src/trainers

The step's methods are set on Keras' TensorFlow trainer, whose own move to a base of it: there,
`super()` finds them. What the step looks for in a model, the rule and the mean of the sharpness,
stands beside it: tests find the variables, layers and logs that they expect.
"""

import dataclasses
import inspect
import types
import weakref

import keras
from keras.src.backend.tensorflow import trainer

import keras_zsharp
from keras_zsharp.training import StepOptions
from keras_zsharp.training.skipped import Skipping
from keras_zsharp.training.step import Step
from tests.still import still

# Its name until Keras 3.15, and from then on.
TensorFlowTrainer = getattr(trainer, "TensorFlowTrainer", None) or trainer.Trainer
BESIDE = weakref.WeakKeyDictionary()
TRAINED = weakref.WeakSet()
counted = 0


def beside(model):
    """The model's rule, and its metrics of training."""
    if model not in BESIDE:
        BESIDE[model] = still(), keras.metrics.Mean(name="sharpness"), Skipping()
    return BESIDE[model]


def make_train_function(model, force=False):
    with model.distribute_strategy.scope():
        beside(model)
    return of_the_trainer(Step.make_train_function)(model, force)


def build_for_training(model):
    global counted
    Step.build_for_training(model)
    if model.trainable_variables and model not in TRAINED:
        TRAINED.add(model)
        counted += 1


def of_the_trainer(method):
    """The same function, in which `super()` starts from Keras' trainer."""
    names = method.__code__.co_freevars if inspect.isfunction(method) else ()
    if "__class__" not in names:
        return method
    cells = dict(zip(names, method.__closure__, strict=True))
    cells["__class__"] = types.CellType(TensorFlowTrainer)
    return types.FunctionType(
        method.__code__,
        method.__globals__,
        method.__name__,
        method.__defaults__,
        tuple(cells.values()),
    )


def pytest_configure(config):
    """Not when it is imported: whoever looks for doctests does that, too."""
    ours = [base for base in reversed(Step.__mro__) if "keras_zsharp" in base.__module__]
    methods = {n: v for base in ours for n, v in vars(base).items() if not n.startswith("__")}
    others = {
        "make_train_function": make_train_function,
        "build_for_training": build_for_training,
        "rule": property(lambda model: beside(model)[0]),
        "sharpness_tracker": property(lambda model: beside(model)[1]),
        "training_metrics": property(lambda model: [beside(model)[1]]),
        "skipping": property(lambda model: beside(model)[2]),
        "gradients_for_the_rule": lambda model, gradients, variables: gradients,
        "every_step_perturbs": True,
        "skips_nonfinite": keras_zsharp.SharpnessAwareTraining.skips_nonfinite,
    }
    settings = dataclasses.asdict(StepOptions())
    new = {**methods, **settings, **others}
    before = {name: value for name, value in vars(TensorFlowTrainer).items() if name in new}
    TensorFlowTrainer.__bases__ = (type("Plain", TensorFlowTrainer.__bases__, before),)
    for name, value in new.items():
        setattr(TensorFlowTrainer, name, of_the_trainer(value))


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"Models that our step trained: {counted}")
