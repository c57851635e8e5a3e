"""Each kind of net, and each way to train it sharpness-aware."""

import keras
import numpy as np

from keras_zsharp import SharpnessAwareModel, SharpnessAwareTraining, sharpness_aware

WORDS = {"token_ids": 20, "segment_ids": 2, "padding_mask": 1}


def layers():
    return [
        keras.layers.Dense(4, activation="tanh", kernel_regularizer="l2", name="hidden"),
        keras.layers.BatchNormalization(name="normal"),
        keras.layers.Dropout(0.2, seed=1, name="dropout"),
        keras.layers.Dense(2, name="head"),
    ]


def sequential():
    return keras.Sequential([keras.Input((3,)), *layers()])


def unbuilt():
    return keras.Sequential(layers())


def functional():
    outputs = inputs = keras.Input((3,))
    for layer in layers():
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def nested():
    """A functional model, and a Sequential, within a functional one."""
    inputs = keras.Input((3,))
    outputs = keras.Sequential([keras.layers.Dense(3, activation="tanh")])(functional()(inputs))
    return keras.Model(inputs, keras.layers.Dense(2)(outputs))


@keras.saving.register_keras_serializable("tests.ways")
class Subclass(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.normal, self.dropout, self.head = layers()

    def call(self, inputs, training=None):
        inputs = self.normal(self.hidden(inputs), training=training)
        return self.head(self.dropout(inputs, training=training))


class Mixed(SharpnessAwareTraining, Subclass):
    pass


class MixedSequential(SharpnessAwareTraining, keras.Sequential):
    pass


def task():
    """As KerasHub's are: a functional subclass with methods of its own."""
    import keras_hub

    backbone = keras_hub.models.BertBackbone(
        WORDS["token_ids"], 1, 2, hidden_dim=4, intermediate_dim=8, max_sequence_length=6
    )
    return keras_hub.models.BertTextClassifier(backbone, num_classes=2, dropout=0.2)


def of_a_task():
    net = task()
    return keras.Model(net.inputs, net.outputs)


def wrapper_within():
    """A sharpness-aware model is a layer of another model, whose rule trains it."""
    return keras.Sequential([keras.Input((3,)), SharpnessAwareModel(functional(), "sam")])


def in_place_within():
    return keras.Sequential([keras.Input((3,)), sharpness_aware(functional(), "friendly_sam")])


KINDS = [sequential, unbuilt, functional, nested, Subclass, task, wrapper_within, in_place_within]


def mixin(kind, rule, **options):
    if kind is Subclass:
        return Mixed(rule=rule, **options)
    if kind not in (sequential, unbuilt):
        return None
    model = MixedSequential(rule=rule, **options)
    for layer in [keras.Input((3,)), *layers()][kind is unbuilt :]:
        model.add(layer)
    return model


WAYS = {
    "wrapper": lambda kind, rule, **options: SharpnessAwareModel(kind(), rule, **options),
    "in place": lambda kind, rule, **options: sharpness_aware(kind(), rule, **options),
    "mixin": mixin,
}


def data(kind, examples):
    random = np.random.default_rng(0)
    x = random.normal(size=(examples, 3)).astype("float32")
    if kind in (task, of_a_task):
        x = {name: random.integers(0, size, (examples, 6)) for name, size in WORDS.items()}
        x["padding_mask"] = np.ones((examples, 6), "int32")
    return x, random.integers(0, 2, examples)


def made(way, kind, rule, optimizer=None, mode=None, **options):
    """A compiled model, with weights that are the same in each way. None where there is none."""
    keras.utils.set_random_seed(0)
    model = WAYS[way](kind, rule, **options)
    if model is not None:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer or keras.optimizers.SGD(0.1, momentum=0.9), loss, **(mode or {}))
    return model


def fit(model, kind, steps=6, batch=8, **arguments):
    x, y = data(kind, steps * batch)
    return model.fit(x, y, batch_size=batch, shuffle=False, verbose=0, **arguments).history
