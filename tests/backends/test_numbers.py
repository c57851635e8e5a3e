"""The numbers of rules and options are numbers, not variables that may change unseen."""

import keras
import numpy as np
import pytest

import keras_zsharp
from keras_zsharp import SharpnessAwareModel, rules
from keras_zsharp.rules.hyperparameter import Hyperparameter

NUMBERS = [
    (name, attribute)
    for name, rule in rules.RULES.items()
    for attribute in dir(rule)
    if isinstance(getattr(rule, attribute), Hyperparameter)
]
WITHOUT_VALUE = {
    "variable": lambda: keras.Variable(0.5),
    "KerasTensor": lambda: keras.KerasTensor(()),
    "seed": lambda: keras.random.SeedGenerator(1),
    "vector": lambda: keras.ops.convert_to_tensor([0.5]),
}
OPTIONS = {"perturb_every": 1, "perturb_from": 0, "micro_batches": 1, "skip_nonfinite": None}


def model_of(rule):
    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model = SharpnessAwareModel(net, rule)
    model.compile("sgd", "mse")
    return model


def ids(variables):
    return [id(variable) for variable in variables]


@pytest.mark.parametrize("kind", WITHOUT_VALUE)
def test_a_refused_value_leaves_rule_and_model_as_they_were(kind):
    value = WITHOUT_VALUE[kind]()
    for name, attribute in NUMBERS:
        model = model_of(name)
        rule, before = model.rule, ids(model.variables)
        old = getattr(rule, attribute)
        with pytest.raises(TypeError, match=f"`{attribute}` must be a number"):
            setattr(rule, attribute, value)
        assert getattr(rule, attribute) == old
        assert ids(model.variables) == before
    for option, old in OPTIONS.items():
        with pytest.raises(TypeError, match=f"`{option}` must be"):
            setattr(model, option, value)
        assert getattr(model, option) == old
        assert ids(model.variables) == before
    model.train_on_batch(np.ones((4, 3)), np.ones((4, 1)))


OTHERS = {
    "bool": lambda: True,
    "bool of NumPy": lambda: np.bool_(True),
    "tensor of a bool": lambda: keras.ops.convert_to_tensor(True),
    "complex": lambda: 0.5 + 0j,
    "complex of NumPy": lambda: np.complex64(0.5),
    "string": lambda: "0.5",
    "string of NumPy": lambda: np.str_("1"),
    "None": lambda: None,
    "list": lambda: [0.5],
    "array": lambda: np.array([1]),
    "tensor with an axis": lambda: keras.ops.convert_to_tensor([1]),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_things_are_no_numbers(kind):
    value = OTHERS[kind]()
    for name, attribute in NUMBERS:
        rule = model_of(name).rule
        with pytest.raises(TypeError, match=f"`{attribute}` must be a number"):
            setattr(rule, attribute, value)
    for name, argument in (("FriendlySAM", "lmbda"), ("ASAM", "eta"), ("LookSAM", "every")):
        with pytest.raises(TypeError, match=f"`{argument}` must be"):
            getattr(keras_zsharp, name)(**{argument: value})
    for option in OPTIONS.keys() - {"skip_nonfinite"}:
        with pytest.raises(TypeError, match=f"`{option}` must be an int"):
            setattr(model_of("sam"), option, value)


def test_a_rule_without_a_model_refuses_what_its_constructor_would_check():
    rule = keras_zsharp.ASAM(eta=0.5)
    with pytest.raises(TypeError, match="`eta` of this ASAM cannot be assigned"):
        rule.eta = float("nan")
    assert rule.get_config()["eta"] == 0.5
    with pytest.raises(TypeError, match="`rho` must be a number, and no variable"):
        keras_zsharp.SAM(rho=keras.Variable(0.1))


@pytest.mark.parametrize("make", [np.array, np.float32, keras.ops.convert_to_tensor])
def test_what_has_a_value_is_a_number_at_once(make):
    model = model_of("zsharp")
    before = ids(model.variables)
    model.rule.rho = make(0.25)
    model.perturb_every = keras.ops.convert_to_tensor(2)
    assert model.rule.rho == 0.25
    assert type(model.perturb_every) is int
    assert ids(model.variables) == before


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="nothing is traced")
def test_a_tensor_of_a_graph_is_refused():
    rule = keras_zsharp.SAM(rho=0.5)
    errors = []

    def assign(value):
        for number in (
            lambda: setattr(rule, "rho", value),
            lambda: model_of(keras_zsharp.SAM(value)),
        ):
            try:
                number()
            except TypeError as error:
                errors.append(str(error))
        return value

    if keras.backend.backend() == "jax":
        import jax

        jax.jit(assign)(0.1)
    else:
        import tensorflow as tf

        tf.function(assign)(tf.constant(0.1))
    assert len(errors) == 2
    assert all("`rho` must be a number" in error for error in errors)
    assert rule.rho == 0.5
