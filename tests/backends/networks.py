"""A small network and real data that are the same on every backend."""

import pathlib

import keras
import numpy as np

from keras_zsharp import rules

STORED = pathlib.Path(__file__).parents[1] / "golden" / "twenty_steps.npz"
STEPS, BATCH = 20, 32
OPTIONS = {"": {}, "micro_batches": {"micro_batches": 3}, "perturb_every": {"perturb_every": 2}}
WITH_OPTIONS = (
    *("adaptive_friendly_sam", "asam", "fisher_sam", "friendly_sam", "gsam", "look_sam", "msam"),
    *("sam", "zsharp"),
)
"""Options do no more with the other rules than with SAM. Each backend draws other numbers."""
SETTINGS = {
    **{
        f"{rule}-{option}": (rule, {}, options)
        for rule in rules.RULES
        for option, options in OPTIONS.items()
        if rule != "random_sam" and (not option or rule in WITH_OPTIONS)
    },
    **{
        f"{rule}-perturb_only": (rule, {}, {"perturb_only": "normalization"})
        for rule in ("sam", "zsharp", "friendly_sam")
    },
    **{
        f"{rule}-perturb_from": (rule, {}, {"perturb_from": 8})
        for rule in ("sam", "friendly_sam", "msam")
    },
    "zsharp-per_variable": ("zsharp", {"norm": "per_variable"}, {}),
    "zsharp-percentile_scope": ("zsharp", {"percentile_scope": "global"}, {}),
}


def rule_of(name, **arguments):
    return type(rules.get(name))(**{"rho": 0.1, **arguments})


def network(*layers, dropout=0.0):
    """Smooth: a ReLU's kink makes much of a rounding error. With statistics and regularizers."""
    made = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="swish", kernel_regularizer="l2"),
            keras.layers.BatchNormalization(),
            *layers,
            keras.layers.Dropout(dropout, seed=1),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activity_regularizer="l2", dtype="float32"),
        ]
    )
    random = np.random.default_rng(0)
    made.set_weights(
        [
            random.normal(0, 0.2, w.shape).astype("float32") if w.ndim > 1 else w
            for w in made.get_weights()
        ]
    )
    return made


def data(examples=STEPS * BATCH):
    random = np.random.default_rng(1)
    prototypes = random.normal(size=(10, 8, 8, 1))
    labels = random.integers(0, 10, examples)
    images = prototypes[labels] + random.normal(size=(examples, 8, 8, 1))
    return images.astype("float32"), labels


def compiled(model, optimizer=None, **arguments):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.SGD(0.05, momentum=0.9), loss, **arguments)
    return model


def trained(model, epochs=1, examples=STEPS * BATCH, **arguments):
    return model.fit(
        *data(examples), batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0, **arguments
    ).history


def copied(variables):
    """PyTorch's arrays are views."""
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def state(model):
    return copied([*model.variables, *model.optimizer.variables])


def flat(weights):
    return np.concatenate([w.ravel() for w in weights])
