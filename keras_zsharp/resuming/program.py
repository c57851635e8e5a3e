"""What a program trains, as a dict: two programs are compared before one goes on with a backup."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_zsharp.keras_internals import calling, fitting, optimizers, tracking
from keras_zsharp.model import SharpnessAwareModel
from keras_zsharp.resuming import program_code
from keras_zsharp.resuming.program_code import is_of_library
from keras_zsharp.rules import Rule
from keras_zsharp.rules.hyperparameter import Hyperparameter
from keras_zsharp.training import options

Program = dict[str, Any]
KERAS = "Keras"
"""The part that says the version of Keras."""
UNSTABLE = {
    *("name", "module", "registered_name", "seed", "layers"),
    *("build_config", "build_input_shape", "input_shape"),
}
"""Keys of configs that differ from run to run or between backends, or that are said elsewhere."""
ATTRIBUTE = "attribute "
"""What the functions of a class read of an object. It may change while it trains."""
UNCHANGED = {
    *("jit_compile", "run_eagerly", "steps_per_execution", "auto_scale_loss"),
    *("metrics", "weighted_metrics"),
}
"""Arguments of `compile` that say how a program computes, or what it shows: not what it trains."""


def of(model: Any, arguments: dict[str, Any]) -> Program:
    """Describes a program: names of parts of it, with numbers, strings or hashes.

    Args:
        model: The compiled model. Its optimizer is built.
        arguments: Those of `fit`.
    """
    rule = tracking.rule_of(model)
    parts: dict[str, Any] = {KERAS: keras.__version__}
    parts["model"] = type(model).__name__
    layers = [
        layer
        for layer in reversed(tracking.flat_layers(model))
        if not isinstance(layer, Rule) and layer is not model
    ]
    places = {layer.name: f"layer {number}" for number, layer in enumerate(layers)}
    operations = [
        each
        for layer in [model, *layers]
        for each in getattr(layer, "operations", ())
        if not isinstance(each, keras.Layer)
    ]
    places |= {each.name: f"operation {number}" for number, each in enumerate(operations)}
    if not isinstance(model, SharpnessAwareModel):
        parts["model"] = _described(model, places)
    parts |= {f"layer {n}": _described(each, places) for n, each in enumerate(layers)}
    parts |= {f"operation {n}": _described(each, places) for n, each in enumerate(operations)}
    own = {id(v) for v in rule.variables} if rule else set()
    parts["weights"] = [list(v.shape) for v in model.weights if id(v) not in own]
    compiled = fitting.compiled_with(model).items()
    parts |= {name: _described(value, places) for name, value in compiled if name not in UNCHANGED}
    parts["optimizer"] = _described(model.optimizer, places)
    parts["weight decay of"] = optimizers.decayed(model)
    if rule:
        parts["rule"] = _described(rule, places)
        parts |= {n: _described(getattr(model, n), places) for n in options.NAMES}
    parts |= {f"fit's {name}": _described(value, places) for name, value in arguments.items()}
    return dict(_flat(parts))


def differences(before: Program, now: Program) -> dict[str, str]:
    """What differs between two programs: a line each, by its name.

    Args:
        before: The program of the backup.
        now: The program that runs.
    """
    names = {**before, **now}.keys() - {KERAS}
    if before.get(KERAS) != now.get(KERAS):  # Its configs have other names then.
        names &= before.keys() & now.keys()
    changed = [n for n in {**before, **now} if repr(before.get(n)) != repr(now.get(n))]
    changed = [n for n in changed if n in names]
    names = [n for n in changed if "code, " not in n or program_code.PYTHON in n]
    return {
        n: f"{n}: {before.get(n, 'none')!r} in the backup, {now.get(n, 'none')!r} in the program"
        for n in names
    }


def are_numbers(model: Any, names: Iterable[str]) -> bool:
    """Whether all are numbers that a file of weights has: learning rate, and those of the rule.

    Args:
        model: The model.
        names: Of parts of its program.
    """
    rule = tracking.rule_of(model)
    numbers = {f"rule {name}" for name in hyperparameters(rule)} | {"optimizer learning_rate"}
    return numbers.issuperset(names)


def are_fixed(name: str) -> bool:
    """Whether a part of a program cannot change while it trains, as a counter of its own can.

    Args:
        name: Of the part.
    """
    return ATTRIBUTE not in name and "code, " not in name


def hyperparameters(rule: Any) -> set[str]:
    """The names of a rule's numbers, which may be set while it trains."""
    kind = type(rule)
    return {name for name in dir(kind) if isinstance(getattr(kind, name, None), Hyperparameter)}


def _described(value: Any, places: dict[str, str]) -> Any:
    """A value as numbers, strings, lists and dicts."""
    if isinstance(value, str):
        return places.get(value, value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return _mapping(value, places)
    if isinstance(value, list | tuple | set | frozenset):
        values = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        return [_described(each, places) for each in values]
    if isinstance(value, functools.partial):
        return _described([value.func, value.args, value.keywords], places)
    if isinstance(value, type):
        return value.__name__
    if inspect.isroutine(value):
        return {"": getattr(value, "__name__", "a function"), **program_code.of(value)}
    if isinstance(value, np.ndarray | np.generic | keras.Variable) or keras.ops.is_tensor(value):
        array = np.asarray(keras.ops.convert_to_numpy(value))
        return (
            array.item() if array.size == 1 else program_code.hashed(array.shape, array.tobytes())
        )
    return {"": type(value).__name__, **_config(value, places), **program_code.of(type(value))}


def _mapping(value, places):
    name = str(value.get("class_name"))
    if name == "__lambda__":
        return "a lambda"  # Its code has the line where it stands.
    if "DTypePolicy" in name:  # Its name is all that it says.
        return str(value["config"])
    return {str(k): _described(v, places) for k, v in value.items() if k not in UNSTABLE}


def _config(value, places):
    """The config of an object, or its plain attributes, and what of the program it calls."""
    held = getattr(value, "__dict__", {})
    called = {name: each for name, each in held.items() if _is_called(each)}
    read = program_code.attributes(value)
    plain = {} if read else {k: v for k, v in held.items() if _is_public_number(k, v)}
    try:
        config = dict(value.get_config())
        if hasattr(type(value), "own_class"):  # Its rule and options are said beside it.
            config = dict(config["model"]["config"])
        if isinstance(inner := config.get("layers"), list):
            config["nodes"] = [each.get("inbound_nodes") for each in inner]
    except Exception:  # A class of the program need not have a config, or one that works.
        config = plain
    if isinstance(value, keras.Loss):  # Configs of losses lack arguments, those of Keras too.
        config |= {**plain, **calling.loss_arguments(value)}
    known = {*config, *called, *tracking.names_of_keras()}
    read = {f"{ATTRIBUTE}{k}": v for k, v in read.items() if k not in known}
    return _described({**config, **called, **read}, places)


def _is_public_number(name, value):
    return program_code.is_plain(value) and not name.startswith("_")


def _is_called(value):
    """Whether it is a function of the program, or an object such as a regularizer."""
    if isinstance(value, type | keras.Layer) or not callable(value):
        return False
    return not is_of_library(value if isinstance(value, types.FunctionType) else type(value))


def _flat(value, name=""):
    """Pairs of a name and a number, string or None."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _flat(each, f"{name} {key}".strip())
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        yield from _flat({str(i): each for i, each in enumerate(value)}, name)
    else:
        yield name, value
