"""The state of random seeds, which Keras does not save: without it, dropout starts over."""

import warnings

import keras

PREFIX = "seed_"


def save(model, store):
    """Adds the state of every seed generator in `model` to its own variables in a file."""
    for i, seed in enumerate(_seeds(model)):
        store[f"{PREFIX}{i}"] = keras.ops.convert_to_numpy(seed)


def load(model, store):
    """Assigns what `save` stored; files of before, without any, leave the seeds as they are."""
    seeds, saved = _seeds(model), sum(name.startswith(PREFIX) for name in _names(store))
    if not saved:
        return
    if saved != len(seeds):
        warnings.warn(
            f"The file holds the state of {saved} random seeds, `{model.name}` has "
            f"{len(seeds)}: they are not restored, dropout and augmentation draw anew.",
            stacklevel=2,
        )
        return
    for i, seed in enumerate(seeds):
        seed.assign(store[f"{PREFIX}{i}"])


def without(store):
    """The rest of what is stored: what Keras knows of."""
    return {name: store[name] for name in _names(store) if not name.startswith(PREFIX)}


def _seeds(model):
    weights = {id(v) for v in model.weights}
    return [v for v in model.variables if id(v) not in weights]


def _names(store):
    # What Keras hands in has keys, but cannot be iterated over.
    return list(store.keys())
