"""A program with functions and classes of its own, as a string that tests edit."""

SOURCE = """
import keras
from keras_zsharp import sharpness_aware

SCALE = 1.0


def difference(y, y_pred):
    return y - y_pred


def loss(y, y_pred):
    '''Of the program itself.'''
    return SCALE * 2.0 * keras.ops.mean(keras.ops.square(difference(y, y_pred)))


class Times(keras.losses.Loss):
    def __init__(self, number):
        super().__init__()
        self.number = number

    def call(self, y, y_pred):
        return self.number * loss(y, y_pred)


class Small:
    def __call__(self, weights):
        return 0.01 * keras.ops.sum(weights)


class Shift(keras.layers.Layer):
    def __init__(self, by):
        super().__init__()
        self.by = by

    def call(self, inputs):
        return inputs + self.by


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.shift, self.same = Shift(1.0), keras.layers.Lambda(lambda x: x)
        self.head = keras.layers.Dense(1, kernel_regularizer=Small())

    def call(self, inputs):
        return self.head(self.same(self.shift(inputs)))


net = Net()
net(keras.ops.zeros((1, 5)))
model = sharpness_aware(net, "sam")
model.compile("sgd", Times(1.0), run_eagerly=True)
"""

READ = """
import argparse, dataclasses, functools, types
import keras
import numpy as np
from keras_zsharp import sharpness_aware

{code}
net = keras.Sequential([keras.Input((5,)), {layer}, keras.layers.Dense(1)])
model = sharpness_aware(net, "sam")
model.compile({optimizer}, {loss}, run_eagerly=True)
"""
CONFIG = """
@dataclasses.dataclass
class Config:
    number: float = 1.0
    epochs: int = 2
    run: object = dataclasses.field(default_factory=object)
"""
LAYER = """
class Scale(keras.layers.Layer):
    def __init__(self, config):
        super().__init__()
        self.config = config

    def call(self, inputs):
        return {} * inputs
"""
LOSS = """
{}

def loss(y, y_pred):
    return keras.ops.mean(keras.ops.square(y - {}))
"""
DECORATED = """
def times(number):
    def decorate(function):
        @functools.wraps(function)
        def whole(*args):
            return number * function(*args)
        return whole
    return decorate

@times(2.0)
def scaled(x):
    return x
"""
OBJECT = """
class Losses:
    def __init__(self, number):
        self.number = number

    def loss(self, y, y_pred):
        return self.number * keras.ops.mean(y - y_pred)
"""


def reading(code="", layer="keras.layers.ReLU()", optimizer="'sgd'", loss="'mse'"):
    """The source of a program that reads a number 2.0 from somewhere."""
    return READ.format(code=code, layer=layer, optimizer=optimizer, loss=loss)


def read_by_loss(code, expression):
    return reading(LOSS.format(code, expression), loss="loss")


SOURCES = {
    "attribute that no config has": reading(LAYER.format("self.config"), "Scale(2.0)"),
    "config of a layer": reading(CONFIG + LAYER.format("self.config.number"), "Scale(Config(2.0))"),
    "array of a layer": reading(
        LAYER.format("keras.ops.convert_to_tensor(self.config)"), "Scale(np.array([2.0], 'f4'))"
    ),
    "functions in a list": reading(
        LAYER.format("self.config[0](1.0)"), "Scale([lambda x: 2.0 * x])"
    ),
    "attribute of a class": reading(
        LAYER.format("self.number").replace("    def call", "    number = 2.0\n\n    def call"),
        "Scale(1.0)",
    ),
    "operation": reading("i = keras.Input((5,))", "keras.Model(i, keras.ops.clip(i, -1, 2.0))"),
    "attribute of an optimizer": reading(
        "class Own(keras.optimizers.SGD):\n"
        "    def __init__(self, number):\n"
        "        super().__init__()\n"
        "        self.number = number\n\n"
        "    def update_step(self, gradient, variable, rate):\n"
        "        super().update_step(self.number * gradient, variable, rate)\n",
        optimizer="Own(2.0)",
    ),
    "argument by name": reading(
        "def loss(y, y_pred, *, number=2.0):\n    return number * keras.ops.mean(y - y_pred)\n",
        loss="loss",
    ),
    "method of an object": reading(OBJECT, loss="Losses(2.0).loss"),
    "decorator": read_by_loss(DECORATED, "scaled(y_pred)"),
    "dict": read_by_loss("read = {'number': 2.0, 'epochs': 2}", "read['number'] * y_pred"),
    "dataclass": read_by_loss(CONFIG + "\nread = Config(2.0)", "read.number * y_pred"),
    "arguments of the command line": read_by_loss(
        "read = argparse.Namespace(number=2.0, epochs=2)", "read.number * y_pred"
    ),
    "class": read_by_loss("class read:\n    number = 2.0", "read.number * y_pred"),
    "partial": read_by_loss(
        "read = functools.partial(lambda x, number: x * number, number=2.0)", "read(y_pred)"
    ),
    "module": read_by_loss(
        "read = types.ModuleType('read')\nexec('def scaled(x): return 2.0 * x', read.__dict__)",
        "read.scaled(y_pred)",
    ),
    "string": read_by_loss("read = 'sum2.0'", "getattr(keras.ops, read[:3])(y_pred)"),
}
