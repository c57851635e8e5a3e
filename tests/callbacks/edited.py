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
