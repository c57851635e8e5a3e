"""Every optimizer of Keras, and every option that all of them have."""

import inspect
import itertools

import keras
import numpy as np

from keras_zsharp import MSAM, SAM, SharpnessAwareModel
from tests.backends import networks
from tests.still import still

WRAPPERS = ("LossScaleOptimizer", "MultiOptimizer")
CLASSES = {
    name: kind
    for name, kind in sorted(vars(keras.optimizers).items())
    if isinstance(kind, type)
    and issubclass(kind, keras.optimizers.Optimizer)
    and kind is not keras.optimizers.Optimizer
    and name not in WRAPPERS
}
CLIPS = {"clipnorm": 0.05, "clipvalue": 0.01, "global_clipnorm": 0.1}
OPTIONS = {
    "accumulation": {"gradient_accumulation_steps": 2},
    "ema": {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 3},
    "schedule": {"learning_rate": keras.optimizers.schedules.CosineDecay(0.02, 8)},
    "weight_decay": {"weight_decay": 0.1},
    "loss_scale_factor": {"loss_scale_factor": 64.0},
    **{name: {name: bound} for name, bound in CLIPS.items()},
}
PAIRS = [
    f"SGD-{one}-{other}"
    for one, other in itertools.combinations([*OPTIONS, "LossScaleOptimizer"], 2)
    if not {one, other} <= set(CLIPS) and {one, other} != {"loss_scale_factor", WRAPPERS[0]}
]


def flags(kind):
    """The arguments of a class that turn something of its own on."""
    arguments = inspect.signature(kind).parameters.values()
    return [a.name for a in arguments if a.default is False and a.name != "use_ema"]


ALONE = [
    *CLASSES,
    *(f"{name}-{flag}" for name, kind in CLASSES.items() for flag in flags(kind)),
    *WRAPPERS,
]
ACCUMULATED = [f"{name}-accumulation" for name in CLASSES]
CELLS = [*ALONE, *ACCUMULATED, *PAIRS, "SGD-accumulation-ema-LossScaleOptimizer"]


def of(cell):
    """An optimizer of its own: a class, flags and options, and what it is wrapped in."""
    name, *rest = cell.split("-")
    if name == "MultiOptimizer":
        by_path = {".*kernel": keras.optimizers.Adam(0.02)}
        return keras.optimizers.MultiOptimizer(
            keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.02, momentum=0.9), by_path)
        )
    if name == "LossScaleOptimizer":
        return keras.optimizers.LossScaleOptimizer(of("Adam"), dynamic_growth_steps=3)
    takes = inspect.signature(CLASSES[name]).parameters
    arguments = {"momentum": 0.9} if "momentum" in takes else {}
    for each in rest:
        if each != "LossScaleOptimizer":
            arguments |= OPTIONS.get(each, {each: True})
    made = CLASSES[name](**arguments)
    if "LossScaleOptimizer" in rest:
        return keras.optimizers.LossScaleOptimizer(made, dynamic_growth_steps=3)
    return made


BATCH, FEATURES = 8, 6
KINDS = {
    "plain": lambda net: net,
    "two passes": lambda net: SharpnessAwareModel(net, still()),
    "one pass": lambda net: SharpnessAwareModel(net, SAM(rho=0.0)),
    "skipping": lambda net: SharpnessAwareModel(net, still(), skip_nonfinite=True),
    "along momentum": lambda net: SharpnessAwareModel(net, still(MSAM)),
}


def network(dropout=0.5):
    """With statistics, noise, and kernels of rank 2, which Muon has another step for."""
    made = keras.Sequential(
        [
            keras.Input((FEATURES,)),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(dropout, seed=1),
            keras.layers.Dense(3, kernel_regularizer="l2", dtype="float32"),
        ]
    )
    random = np.random.default_rng(0)
    made.set_weights(
        [random.normal(0, 0.5, w.shape) if w.ndim > 1 else w for w in made.get_weights()]
    )
    return made


def data(batches):
    random = np.random.default_rng(1)
    x = random.normal(size=(batches * BATCH, FEATURES)).astype("float32")
    return x, random.integers(0, 3, len(x))


def fit(model, batches, **arguments):
    return model.fit(*data(batches), BATCH, shuffle=False, verbose=0, **arguments).history


def state(model):
    """The values of the net's variables and of the optimizer's."""
    return networks.copied([*getattr(model, "model", model).weights, *model.optimizer.variables])
