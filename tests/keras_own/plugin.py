"""A pytest plugin with which every Keras model trains by our step, at rho = 0.

    python -m pytest -p tests.keras_own.plugin -c /dev/null .../site-packages/keras/src/trainers

The step's methods are set on Keras' TensorFlow trainer. What they look for in a model, the rule and
the mean of the sharpness, stands beside it: tests find the variables, layers and logs that they
expect.
"""

import dataclasses
import weakref

import keras
from keras.src.backend.tensorflow.trainer import TensorFlowTrainer

import keras_zsharp
from keras_zsharp.training import StepOptions
from keras_zsharp.training.tensorflow import TwoPassStep

PLAIN = TensorFlowTrainer.train_step, TensorFlowTrainer.make_train_function
BESIDE = weakref.WeakKeyDictionary()
TRAINED = weakref.WeakSet()
counted = 0


def beside(model):
    """The model's rule and tracker."""
    if model not in BESIDE:
        tracker = keras.metrics.Mean(name="sharpness")
        BESIDE[model] = keras_zsharp.SAM(rho=0.0), tracker
    return BESIDE[model]


def make_train_function(model, force=False):
    with model.distribute_strategy.scope():
        beside(model)
    return PLAIN[1](model, force)


def train_step(model, data):
    global counted
    if not model._prepare(keras.utils.unpack_x_y_sample_weight(data)):
        return PLAIN[0](model, data)
    if model not in TRAINED:
        TRAINED.add(model)
        counted += 1
    return TwoPassStep.train_step(model, data)


def pytest_configure(config):
    """Not when it is imported: whoever looks for doctests does that, too."""
    methods = {n: value for n, value in vars(TwoPassStep).items() if not n.startswith("__")}
    others = {
        "train_step": train_step,
        "make_train_function": make_train_function,
        "perturbation": property(lambda model: beside(model)[0]),
        "sharpness_tracker": property(lambda model: beside(model)[1]),
        "ascent_gradients": lambda model, gradients, variables: gradients,
    }
    settings = dataclasses.asdict(StepOptions())
    for name, value in {**methods, **settings, **others}.items():
        setattr(TensorFlowTrainer, name, value)


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"Models that our step trained: {counted}")
