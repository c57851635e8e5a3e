"""Each private name of Keras that the library needs, one by one: a new Keras that lacks it says so.

All were there in Keras 3.8 and 3.15, but for `_get_save_spec`, which 3.8 lacks.
"""

import importlib
import itertools
import pathlib

import keras
import numpy as np
import pytest

from keras_zsharp import sharpness_aware
from keras_zsharp.keras_internals import fitting, names, optimizers, tracking
from tests.test_package import of_keras, own_names

INTERNALS = pathlib.Path(__file__).parents[1] / "keras_zsharp" / "keras_internals"
NEEDED = {
    **{f"model.{name}": why for name, why in names.OF_MODELS.items()},
    **{f"scope.{name}": why for name, why in names.OF_SCOPES.items()},
    "loss._fn_kwargs": "to know the arguments of a loss",
    "model._compile_config.config": "to know what a program trains",
    "model._compile_loss": "to build the variables of a loss",
    "model._compile_loss._flat_losses": "to read the reductions of losses",
    "model._compile_metrics": "to build metrics outside of a graph",
    "model._initial_epoch": "to start where a backup ended",
    "model._loss_tracker": "to log the loss of the clean pass",
    "model._tracker.locked": "to track a rule in a model that is built",
    "model._tracker.replace_tracked_value": "to put a layer in the place of another",
    "model._tracker.untrack": "to take a rule out of a model",
    "optimizer._get_variable_index": "to find the momentum of a variable",
    "optimizer._is_excluded_from_weight_decay": "as `_use_weight_decay`, from Keras 3.16 on",
    "optimizer._use_weight_decay": "to know which variables a program decays",
    "variable._direct_assign": "to assign in a scope",
    "variable._value": "to know who reads around a scope",
}
MODULES = {
    "keras.src.backend.common.masking.get_keras_mask": "to know what losses leave out",
    "keras.src.backend.common.masking.set_keras_mask": "to hand masks on to metrics",
    "keras.src.backend.common.global_state.get_global_attribute": "to close what stays open",
    "keras.src.backend.common.global_state.set_global_attribute": "to close what stays open",
    "keras.src.backend.compute_output_spec": "to build from shapes",
    "keras.src.backend.in_stateless_scope": "to know whether JAX's state can be read",
    "keras.src.legacy.saving.legacy_h5_format.save_weights_to_hdf5_group": "as `saving_lib` below",
    "keras.src.losses.loss.unscale_loss_for_distribution": "to log a loss under a strategy",
    "keras.src.saving.object_registration.GLOBAL_CUSTOM_NAMES": "to save models made in place",
    "keras.src.saving.saving_lib._walk_saveable": "to know who reads `layers` for a file",
    "keras.src.trainers.data_adapters.array_data_adapter.can_convert_arrays": "to know what is cut",
    "keras.src.trainers.data_adapters.get_data_adapter": "to read what `fit` reads",
    "keras.src.utils.python_utils.default": "to save what a constructor was given",
    "keras.src.utils.python_utils.is_default": "to know who wrote a `get_config`",
}
BY_BACKEND = {
    "jax": {"model._jax_state": "to put the state before a step back"},
    "tensorflow": {
        "model._default_save_signature": "for TFLite's converter",
        "model._get_save_spec": "for TFLite's converter",
        "iterator._distributed_dataset": "to know the shapes before the first batch",
    },
}
IN_FILES_OF_PYTORCH = "keras.src.backend.torch.optimizers."
BACKEND = keras.backend.backend()
VERSION = [int(part) for part in keras.__version__.split(".")[:2]]
OF_MODELS_HERE = names.OF_MODELS_BY_BACKEND[BACKEND]
HERE = {**BY_BACKEND.get(BACKEND, {}), **{f"model.{n}": w for n, w in OF_MODELS_HERE.items()}}


@pytest.fixture(scope="module")
def owners():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((2, 2)), np.ones((2, 1)), verbose=0)
    found = {"model": model, "scope": keras.StatelessScope(), "variable": model.weights[0]}
    found["optimizer"], found["loss"] = model.optimizer, keras.losses.Huber()
    if keras.backend.backend() == "tensorflow":
        trainer = importlib.import_module("keras.src.backend.tensorflow.trainer")
        found["iterator"] = trainer.TFEpochIterator(
            x=np.ones((2, 2)), distribute_strategy=model.distribute_strategy
        )
    return found


@pytest.mark.parametrize("name", [*NEEDED, *HERE])
def test_keras_has(name, owners):
    if name == "model._get_save_spec" and VERSION == [3, 8]:
        pytest.skip("Keras 3.8 converts without it.")
    if "Keras 3.16" in NEEDED.get(name, "") and VERSION < [3, 16]:
        pytest.skip(f"{keras.__version__} is older")
    first, *rest = name.split(".")
    owner = owners[first]
    for attribute in rest:
        needed = {**NEEDED, **HERE}[name]
        assert hasattr(owner, attribute), f"{name}, which is needed {needed}"
        owner = getattr(owner, attribute)


@pytest.mark.parametrize("name", [*names.OF_MODELS, *OF_MODELS_HERE])
def test_a_missing_name_is_an_error(name, monkeypatch):
    """Of Keras' release that lacks it, before anything trains."""
    needed = {**names.OF_MODELS, **OF_MODELS_HERE}
    monkeypatch.setattr(names, "OF_MODELS", {f"{name}_of_old": needed[name]})
    message = f"Keras {keras.__version__}, whose .* lacks .*`{name}_of_old`, {needed[name]}"
    with pytest.raises(RuntimeError, match=message):
        sharpness_aware(keras.Sequential([keras.layers.Dense(1)]), "sam")


@pytest.mark.parametrize("name", MODULES)
def test_keras_has_the_function(name):
    module, _, function = name.rpartition(".")
    assert hasattr(importlib.import_module(module), function), MODULES[name]


@pytest.mark.skipif(BACKEND != "jax", reason="JAX's trainer donates the state")
def test_what_jax_compiles_keeps_the_state():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    fitting.without_donating(model.make_predict_function)
    weights = [v.value for v in model.weights]
    model.predict_function((weights, []), iter([(np.ones((2, 2)),)]))
    assert not any(array.is_deleted() for array in weights)


@pytest.mark.parametrize("kind", optimizers._MOMENTA)
def test_where_optimizers_keep_a_momentum(kind):
    """Against the gradient for SGD, which has the sign of the step."""
    variable = keras.Variable(np.zeros(2, "float32"))
    by_argument = kind in (keras.optimizers.SGD, keras.optimizers.RMSprop)
    optimizer = kind(0.1, momentum=0.9) if by_argument else kind(0.1)
    optimizer.build([variable])
    optimizer.apply([keras.ops.convert_to_tensor(np.float32([1, -1]))], [variable])
    [momentum] = optimizers.momenta(optimizer, [variable])
    assert np.sign(keras.ops.convert_to_numpy(momentum)).tolist() == [1, -1]


def test_how_many_steps_an_optimizer_has_taken():
    """`iterations` is a variable, but a tensor where gradients are accumulated."""
    for accumulated, steps in ((None, 3), (2, 1)):
        inner = keras.optimizers.SGD(gradient_accumulation_steps=accumulated)
        weight = keras.Variable([1.0])
        inner.build([weight])
        for _ in range(3):
            inner.apply([keras.ops.ones(1)], [weight])
        for optimizer in (inner, keras.optimizers.LossScaleOptimizer(inner)):
            taken = optimizers.steps_taken(optimizer)
            assert keras.ops.is_tensor(taken)
            assert int(taken) == steps


def test_what_float8_scales_are_known_by():
    layer = keras.layers.Dense(4)
    layer.build((None, 4))
    layer.quantize("float8")
    assert any(getattr(v, "overwrite_with_gradient", False) for v in layer.variables)


def test_what_a_layer_is_built_from_can_be_told_otherwise():
    """Keras records the arguments of a `build` that an instance has for itself."""
    assert "build" in vars(keras.layers.Dense(1))


def test_in_what_attributes_keras_keeps_its_books():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.number, self.dense = 0, keras.layers.Dense(1)

        def call(self, inputs):
            return self.dense(inputs)

    net = Net()
    net.compile("sgd", "mse")
    net.fit(np.ones((2, 3)), np.ones((2, 1)), verbose=0)
    others = vars(net).keys() - tracking.names_of_keras()
    assert others - {"_eval_epoch_iterator", "_jax_state"} <= {"number", "dense"}
    assert "number" in others


def test_none_is_left_out():
    by_backend = itertools.chain(*BY_BACKEND.values(), *names.OF_MODELS_BY_BACKEND.values())
    needed = [*NEEDED, *by_backend]
    listed = {part for name in needed for part in name.split(".")} | {*MODULES}
    listed |= {name.rpartition(".")[0] for name in MODULES}
    listed |= {"keras.src.backend", "keras.src.utils.python_utils", IN_FILES_OF_PYTORCH}
    listed |= {"keras.src.layers.normalization.", "keras.src.backend.jax.trainer"}
    ours = set(own_names())
    assert {name for path in INTERNALS.glob("*.py") for name in of_keras(path, ours)} <= listed


def test_keras_own_normalization_layers():
    """They are known by the module that they lie in."""
    layers = keras.layers
    known = {layers.BatchNormalization, layers.LayerNormalization, layers.UnitNormalization}
    assert known < set(tracking.NORMALIZATIONS)
    with pytest.raises(RuntimeError, match="in which it finds no normalization layers"):
        names.some([], "normalization layers")


class Asks(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.fit = fitting.running_fit()


def test_what_a_fit_knows_of_itself():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    asks, other = Asks(), keras.callbacks.Callback()
    model.fit(np.ones((4, 2)), np.ones((4, 1)), 2, 3, 0, [asks, other], class_weight={0: 2.0})
    assert {asks, other} <= {*asks.fit.callbacks.callbacks}
    assert asks.fit.arguments["batch_size"] == 2
    assert asks.fit.arguments["class_weight"] == {0: 2.0}
    assert asks.fit.arguments["initial_epoch"] == 0
    assert asks.fit.arguments["shuffle"] is True
    assert asks.fit.iterator.num_batches == 2
    fitting.read_epochs(asks.fit.iterator, 2)
    assert type(asks.fit.iterator.data_adapter).__name__ == "ArrayDataAdapter"
    assert fitting.running_fit() is None
