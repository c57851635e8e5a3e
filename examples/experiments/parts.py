"""What the settings of a run stand for: its data, its rule, and the network with what trains it."""

import contextlib
import dataclasses

import keras
import numpy as np
import tensorflow as tf

import keras_zsharp
from experiments import optimizers
from keras_zsharp import analysis, data, models


def load(config, data_dir=None):
    """The bundle of a run's data."""
    names = ("batch_size", "augment", "label_noise", "seed", "validation")
    options = {name: config[name] for name in names}
    options |= {name: config[name] for name in ("train_size", "noise_draw") if config.get(name)}
    if config["split_seed"] is not None:
        if config["dataset"] != "digits":
            raise ValueError(f"`split_seed` is of the digits alone. Received: {config}")
        bundle = data.digits(split_seed=config["split_seed"], **options)
    else:
        bundle = data.load(config["dataset"], data_dir=data_dir, **options)
    noisy = None if config.get("clean_validation") else noisy_validation(bundle, config)
    if noisy is None:
        return bundle
    return dataclasses.replace(bundle, pipelines=bundle.pipelines | {"validation": lambda: noisy})


def noisy_validation(bundle, config):
    """Clean validation data with the label noise of the training data; None without either."""
    if bundle.validation is None or not config["label_noise"]:
        return None
    batches = list(bundle.validation.as_numpy_iterator())
    labels = np.concatenate([labels for _, labels in batches])
    if bundle.one_hot:
        labels = labels.argmax(-1)
    # Another seed than that of the training labels, whose moves these would repeat.
    noise = data.symmetric_label_noise(
        labels,
        config["label_noise"],
        bundle.classes,
        config["seed"] + 2**20,
        config.get("noise_draw", "others"),
    )
    if bundle.one_hot:
        noise = np.eye(bundle.classes, dtype="float32")[noise]
    noise = tf.data.Dataset.from_tensor_slices(noise).batch(config["batch_size"])
    return tf.data.Dataset.zip(bundle.validation, noise).map(lambda old, new: (old[0], new))


def perturbation(config):
    """The run's rule, or None."""
    if config["rule"] is None:
        return None
    rule = getattr(keras_zsharp, config["rule"], None)
    if rule is None:
        raise ValueError(f"keras_zsharp has no rule {config['rule']}")
    try:
        return rule(**config["settings"])
    except TypeError as error:
        raise ValueError(f"{config['rule']}: {error}") from error


def scope(config):
    """What the network is built in: of the run's strategy, if it has one."""
    if config.get("strategy") != "mirrored":
        return contextlib.nullcontext()
    if keras.backend.backend() != "tensorflow":
        raise ValueError("--strategy mirrored is TensorFlow's: set KERAS_BACKEND=tensorflow")
    return tf.distribute.MirroredStrategy(devices("GPU") or devices("CPU")).scope()


def devices(kind=None):
    """Names of the backend's devices, or of those of a kind, "GPU" or "CPU"."""
    if keras.backend.backend() == "tensorflow":
        return [device.name for device in tf.config.list_logical_devices(kind)]
    return keras.distribution.list_devices(kind and kind.lower())


def ascent_data(bundle, config, component):
    """The training data for `AscentFrom`: for batches other than the step's, in another order."""
    # Read once, since every reading counts as an epoch.
    batches = bundle.train.cache()
    if component != "batch":
        return batches
    shuffled = batches.unbatch().shuffle(bundle.sizes["train"], config["seed"])
    return shuffled.batch(config["batch_size"])


def build(config, bundle):
    """The network, and what trains it, compiled: they share their weights.

    The network is made sharpness-aware in place, since it may have methods of its own for training,
    as KerasHub's have. What is returned of it for saving has none, and no optimizer or rule, so
    that Keras alone can load it.
    """
    model = getattr(models, config["model"])(bundle.input_shape, bundle.classes)
    network = keras.Model(model.inputs, model.outputs, name=model.name)
    rule, component = perturbation(config), config.get("ascent")
    if rule is not None and component:
        images = ascent_data(bundle, config, component)
        model = analysis.AscentFrom(model, rule, ascent_data=images, component=component)
    elif rule is not None:
        model = keras_zsharp.sharpness_aware(model, rule, **config.get("step", {}))
    crossentropy = (
        keras.losses.CategoricalCrossentropy
        if bundle.one_hot
        else keras.losses.SparseCategoricalCrossentropy
    )
    model.compile(
        optimizers.build(config, len(bundle.train)),
        crossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    # An optimizer without variables would be left out when an interrupted run is restored.
    model.optimizer.build(model.trainable_variables)
    return network, model
