"""What a file holds of a rule: its variables, each under a name that tells whose it is."""

import warnings

import keras

SEED = "seed_"
"""How the names begin of what a model keeps beside its rule's state."""


def save(rule, store):
    for name, variable in _named(rule).items():
        store[name] = keras.ops.convert_to_numpy(variable)


def load(rule, store):
    """Assigns what a rule of the same class has stored, if it has the same variables.

    Else the rule keeps its own: without a word if the file has none, as that of a plain network.
    """
    own, found = _named(rule), {name: store[name] for name in _names(store)}
    if _shapes(found) == _shapes(own):
        for name, variable in own.items():
            variable.assign(_as_decimal(found[name], variable.dtype))
    elif found:
        classes = {name.partition(".")[0] if "." in name else "an old file" for name in found}
        warnings.warn(
            f"The file holds {len(found)} variables of {', '.join(sorted(classes))}, which are not "
            f"those of {rule.name!r}, a {type(rule).__name__} with {len(own)}: it keeps its own.",
            stacklevel=2,
        )


def saved(rule, store):
    """The arrays that a rule of the same class has stored, in the order of its variables."""
    prefix = f"{type(rule).__name__}."
    names = [name for name in _names(store) if name.startswith(prefix)]
    return [store[name] for name in sorted(names, key=lambda name: int(name.split(".")[1]))]


def _as_decimal(array, dtype):
    """What a backend without float64 has saved of a number: 0.9, not 0.8999999761581421."""
    narrow = array.dtype == "float32" and dtype == "float64" and not array.shape
    return float(str(array[()])) if narrow else array


def _names(store):
    # What Keras hands in has keys, but cannot be iterated over.
    return [name for name in list(store.keys()) if not name.startswith(SEED)]


def _named(rule):
    variables = enumerate(rule.variables)
    return {f"{type(rule).__name__}.{i}.{variable.name}": variable for i, variable in variables}


def _shapes(arrays):
    return {name: tuple(array.shape) for name, array in arrays.items()}
