"""Every public argument answers a wrong value with an error that names the argument."""

import contextlib
import dataclasses
import inspect
import pathlib

import keras
import numpy as np
import pytest

import keras_zsharp
from keras_zsharp import (
    analysis,
    callbacks,
    comparing,
    data,
    flatness,
    models,
    rules,
    training,
)
from keras_zsharp.data import reading
from tests.data.painted import paint_classes

X, Y = np.ones((4, 3), "float32"), np.ones((4, 1), "float32")
IMAGES = {"input_shape": (32, 32, 3), "classes": 10}


class Reached(Exception):
    """The arguments have passed: what they ask for need not be done."""


def net():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def trained(rule, seed):
    return {"loss": 0.0}


def defaults(function):
    return {name: p.default for name, p in inspect.signature(function).parameters.items()}


def pictures():
    folder = pathlib.Path("pictures")
    for split in ("train", "test"):
        paint_classes(folder / split, {"ant": 2, "bee": 2}, (4, 4, 3))
    return folder


OPTIONS = {field.name: field.default for field in dataclasses.fields(training.StepOptions)}
LOADED = {
    "batch_size": 4,
    "augment": None,
    "label_noise": 0.0,
    "seed": 0,
    "validation": None,
    "noise_draw": "others",
}
MEASURED = {"model": net, "data": lambda: (X, Y), "batch_size": 2, "batches": 1}
WRAPPED = {"model": net, "rule": "sam", **OPTIONS}

# Arguments that pass, of everything public; a function makes a new one each time.
PUBLIC = {
    keras_zsharp.Rule: {"rho": 0.05, "name": "rule"},
    **{rule: defaults(rule) for rule in rules.RULES.values()},
    keras_zsharp.SharpnessAwareModel: {**WRAPPED, "name": "model"},
    keras_zsharp.SharpnessAwareTraining: {},
    keras_zsharp.plain: {"model": lambda: keras_zsharp.sharpness_aware(net(), "sam")},
    keras_zsharp.sharpness_aware: WRAPPED,
    analysis.AscentFrom: {
        **WRAPPED,
        "ascent_data": lambda: (X, Y),
        "component": "full",
        "batch_size": 2,
    },
    callbacks.Backup: {"backup_dir": "backup", "delete_checkpoint": True, "read_again": True},
    callbacks.SharpnessMonitor: {
        "data": lambda: (X, Y),
        "measures": ("ball",),
        "every": 1,
        "batch_size": 2,
        "batches": 1,
    },
    callbacks.WeightAveraging: {
        "start": 0.5,
        "data": lambda: (X, Y),
        "every": 1,
        "batch_size": 2,
        "batches": 1,
    },
    comparing.Fit: {
        **{"build": lambda: net, "train": lambda: (X, Y), "validation": None, "test": None},
        **{"callbacks": lambda: list, "test_each_epoch": False, "measures": lambda: dict},
    },
    comparing.Method: {"rule": "sam", "choose": {"rho": (0.1, 0.2)}},
    comparing.compare: {
        **{"train": lambda: trained, "methods": {"SAM": "sam"}, "seeds": (0,), "metric": "loss"},
        **{"mode": "min", "choose_by": None, "choosing_seeds": "all", "reference": "SAM"},
        **{"folder": None, "processes": 0, "ray": None, "num_cpus": 1, "num_gpus": None},
        "progress": False,
    },
    data.digits: {**LOADED, "train_size": 1200, "split_seed": None},
    data.image_folder: {"folder": pictures, **LOADED, "image_size": None, "train_size": 3},
    data.load: {"name": "cifar10", **LOADED, "data_dir": None, "train_size": 100},
    **{
        getattr(data, name): {**LOADED, "data_dir": None, "train_size": 100}
        for name in ("cifar10", "cifar100", "fashion_mnist", "svhn", "tiny_imagenet")
    },
    data.symmetric_label_noise: {
        "labels": lambda: np.arange(4),
        "rate": 0.5,
        "classes": 4,
        "seed": 0,
        "draw": "others",
    },
    models.cifar_resnet: {"depth": 8, **IMAGES, "name": "net"},
    models.deit_small: {"input_shape": (224, 224, 3), "classes": 10, "weights": None},
    models.pyramidnet110: {**IMAGES, "alpha": 48, "name": "net"},
    models.wide_resnet: {"depth": 10, "width": 1, **IMAGES, "dropout": 0.0, "name": "net"},
    **{
        getattr(models, name): {**IMAGES, "name": "net"}
        for name in (
            *("resnet18", "resnet20", "resnet32", "resnet44", "resnet50", "resnet56", "resnet110"),
            *("small_cnn", "small_resnet", "strided_cnn", "vgg16_bn", "vgg19_bn"),
        )
    },
    **{
        getattr(models, name): {**IMAGES, "dropout": 0.0, "name": "net"}
        for name in (
            *("small_vit", "vit_7_8_8_384", "vit_7_8_12_768"),
            *("wide_resnet_16_8", "wide_resnet_28_10"),
        )
    },
    flatness.MeanLoss: MEASURED,
    flatness.ball_loss: {
        **MEASURED,
        "rho": 0.05,
        "steps": 1,
        "random": 0,
        "seed": 0,
        "verbose": 0,
    },
    flatness.hessian_spectrum: {
        **MEASURED,
        "k": 1,
        "which": "LA",
        "by": None,
        "eigenvectors": False,
        "tol": 1e-4,
        "restarts": 10,
        "seed": 0,
        "verbose": 0,
    },
    flatness.hessian_trace: {**MEASURED, "samples": 2, "by": None, "seed": 0, "verbose": 0},
    flatness.loss_landscape: {
        **MEASURED,
        "extent": 1.0,
        "points": 2,
        "directions": None,
        "seed": 0,
        "verbose": 0,
    },
    flatness.spectral_density: {
        **MEASURED,
        "samples": 2,
        "lanczos_steps": 2,
        "by": None,
        "sigma": None,
        "points": 2,
        "seed": 0,
        "verbose": 0,
    },
    rules.get: {"rule": "sam"},
    training.StepOptions: OPTIONS,
}
# What functions give, and what only they make.
RESULTS = {
    *(flatness.BallLoss, flatness.Landscape, flatness.SpectralDensity, flatness.Trace),
    *(data.DatasetBundle, callbacks.DamagedBackup, comparing.Comparison),
}
HOSTILE = {
    "None": None,
    "True": True,
    "0": 0,
    "-1": -1,
    "2.5": 2.5,
    "-2.5": -2.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "huge": 10**400,
    "complex": 1j,
    "str": "x",
    "empty": "",
    "null byte": "a\0b",
    "bytes": b"x",
    "list": [],
    "ints": [1, 2],
    "tuple": (),
    "pair": (1, 2),
    "of None": (None, None),
    "dict": {},
    "set": {1},
    "object": object(),
    "class": int,
    "function": lambda *_: None,
    "array": np.array([1.0, 2.0]),
    "strings": np.array(["a"]),
    "objects": np.array([None]),
    "no dimension": np.array("x"),
    "tensor": keras.ops.convert_to_tensor([1.0, 2.0]),
    "variable": keras.Variable(1.0),
}


def everything_public():
    modules = keras_zsharp, analysis, callbacks, comparing, data, models, rules, flatness, training
    found = [getattr(module, name) for module in modules for name in module.__all__]
    found.append(rules.get)
    return {each for each in found if callable(each) and not inspect.ismodule(each)}


def test_everything_public_is_tried():
    assert everything_public() - RESULTS == set(PUBLIC)
    for each, arguments in PUBLIC.items():
        parameters = inspect.signature(each).parameters.values()
        named = {p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        assert named - {"rule"} <= set(arguments) | {"name"}, each


@contextlib.contextmanager
def stopped_at_the_work(patch):
    def reached(*_, **__):
        raise Reached

    with patch.context() as context:
        context.setattr(reading, "prepared", reached)
        context.setattr(keras.layers.Layer, "__call__", reached)
        yield


def outcome(each, arguments, name, value, patch):
    made = {n: v() if callable(v) else v for n, v in arguments.items() if n != name}
    try:
        with stopped_at_the_work(patch):
            each(**made, **{name: value})
    except Reached:
        return "accepted"
    except (TypeError, ValueError, OSError, ImportError) as error:
        return "clear" if f"`{name}`" in str(error) else f"{type(error).__name__}: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "accepted"


@pytest.mark.slow
@pytest.mark.parametrize("each", PUBLIC, ids=lambda each: each.__name__)
def test_wrong_arguments(each, monkeypatch, tmp_path):
    if each is models.deit_small:
        pytest.importorskip("keras_hub")
    monkeypatch.chdir(tmp_path)
    obscure = {}
    for name in PUBLIC[each]:
        for kind, value in HOSTILE.items():
            said = outcome(each, PUBLIC[each], name, value, monkeypatch)
            if said not in ("clear", "accepted"):
                obscure[name, kind] = said.splitlines()[0]
    assert not obscure
