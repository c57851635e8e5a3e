"""Builds what the settings of a run name: its data, its rule, and its network, compiled."""

import contextlib
import dataclasses

import keras
import numpy as np
import tensorflow as tf

import keras_zsharp
from experiments import optimizers
from keras_zsharp import analysis, data, models


def dataset(config, data_dir=None):
    """The bundle of a run's data."""
    names = ("batch_size", "augment", "label_noise", "seed", "validation")
    options = {name: config[name] for name in names}
    options |= {name: config[name] for name in ("train_size", "noise_draw") if config.get(name)}
    if config["split_seed"] is None:
        bundle = data.load(config["dataset"], data_dir=data_dir, **options)
    elif config["dataset"] == "digits":
        bundle = data.digits(split_seed=config["split_seed"], **options)
    else:
        raise ValueError(f"`split_seed` is of the digits alone. Received: {config}")
    noisy = None if config.get("clean_validation") else noisy_validation(bundle, config)
    if noisy is None:
        return bundle
    return dataclasses.replace(bundle, pipelines=bundle.pipelines | {"validation": lambda: noisy})


def noisy_validation(bundle, config):
    """Clean validation data with the label noise of the training data; None without either."""
    if bundle.validation is None or not config["label_noise"]:
        return None
    labels = np.concatenate([labels for _, labels in bundle.validation.as_numpy_iterator()])
    noise = data.symmetric_label_noise(
        labels.argmax(-1) if bundle.one_hot else labels,
        config["label_noise"],
        bundle.classes,
        # Another seed than that of the training labels, whose moves these would repeat.
        config["seed"] + 2**20,
        config.get("noise_draw", "others"),
    )
    if bundle.one_hot:
        noise = np.eye(bundle.classes, dtype="float32")[noise]
    noise = tf.data.Dataset.from_tensor_slices(noise).batch(config["batch_size"])
    return tf.data.Dataset.zip(bundle.validation, noise).map(lambda old, new: (old[0], new))


def rule(config):
    """The run's rule, or None."""
    if config["rule"] is None:
        return None
    made = getattr(keras_zsharp, config["rule"], None)
    if made is None:
        raise ValueError(f"keras_zsharp has no rule {config['rule']}")
    try:
        return made(**config["settings"])
    except TypeError as error:
        raise ValueError(f"{config['rule']}: {error}") from error


def scope(config):
    """What the network is built in: the scope of the run's strategy, if it has one."""
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


def ascent_data(bundle, config):
    """The training data for `AscentFrom`: for batches other than the step's, in another order."""
    batches = bundle.train.cache()  # Every reading of `bundle.train` counts as an epoch.
    if config["ascent"] != "batch":
        return batches
    shuffled = batches.unbatch().shuffle(bundle.sizes["train"], config["seed"])
    return shuffled.batch(config["batch_size"])


def network(config, bundle):
    """The network to save, and the compiled model that trains it: they share their weights.

    The model is sharpness-aware in place, since it may have methods of its own for training, as
    KerasHub's have. The network to save has none, and no optimizer or rule, so that Keras alone can
    load it.
    """
    model = getattr(models, config["model"])(bundle.input_shape, bundle.classes)
    saved = keras.Model(model.inputs, model.outputs, name=model.name)
    chosen, component = rule(config), config.get("ascent")
    if chosen is not None and component:
        images = ascent_data(bundle, config)
        model = analysis.AscentFrom(model, chosen, ascent_data=images, component=component)
    elif chosen is not None:
        model = keras_zsharp.sharpness_aware(model, chosen, **config.get("step", {}))
    losses = keras.losses
    loss = (
        losses.CategoricalCrossentropy if bundle.one_hot else losses.SparseCategoricalCrossentropy
    )
    optimizer = optimizers.build(config, len(bundle.train))
    model.compile(optimizer, loss(from_logits=True), metrics=["accuracy"])
    # An optimizer without variables would be left out when an interrupted run is restored.
    model.optimizer.build(model.trainable_variables)
    return saved, model
