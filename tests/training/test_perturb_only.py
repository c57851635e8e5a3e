"""Which weights are perturbed."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_zsharp import SAM, FriendlySAM, SharpnessAwareModel, sharpness_aware
from tests.tiers import crossed
from tests.training.cases import MODES, normal

X, Y = normal(5), normal(1)


def network():
    """With normalization in a block, and one that wraps another layer."""
    keras.utils.set_random_seed(0)
    block = keras.Sequential(
        [layers.Dense(4), layers.BatchNormalization(name="inner")], name="block"
    )
    return keras.Sequential(
        [
            keras.Input((5,)),
            block,
            layers.LayerNormalization(),
            layers.SpectralNormalization(layers.Dense(3, name="wrapped")),
            layers.RMSNormalization(),
            layers.Dense(1, name="head"),
        ]
    )


class Noting(SAM):
    """Notes of which variables it is given gradients."""

    def call(self, gradients, variables, rho):
        pairs = zip(gradients, variables, strict=True)
        self.given = [(v.path, v.name) for g, v in pairs if g is not None]
        return super().call(gradients, variables, rho)


def given(perturb_only, net=None):
    rule = Noting(rho=0.1)
    model = SharpnessAwareModel(net or network(), rule, perturb_only=perturb_only)
    model.compile("sgd", "mse")
    model.train_on_batch(X, Y)
    return rule.given


def test_of_normalization():
    names = [name for _, name in given("normalization")]
    assert names == ["gamma", "beta", "gamma", "beta", "scale"]


def test_kernels():
    assert [name for _, name in given("kernels")] == ["kernel"] * 3


def test_of_lora():
    net = network()
    net.get_layer("head").enable_lora(1)
    assert [name for _, name in given("lora", net)] == ["lora_kernel_a", "lora_kernel_b"]


def test_by_path_and_by_function():
    for perturb_only in (
        "head/|inner/beta",
        lambda v: "head" in v.path or v.path.endswith("beta"),
    ):
        paths = [path for path, _ in given(perturb_only)]
        ends = [path.split("/", maxsplit=path.count("/") - 1)[-1] for path in paths]
        assert ends[0] == "inner/beta"
        assert ends[-2:] == ["head/kernel", "head/bias"]


def test_all_of_them_are_given_by_default():
    assert len(given(None)) == len(network().trainable_variables)


@pytest.mark.parametrize("mode", crossed(MODES, default=["graph"]))
def test_the_step_by_hand(mode):
    """w' = w - lr grad(w + e), where e is rho long and nothing but that of the head."""
    net = network()
    model = SharpnessAwareModel(net, SAM(rho=0.5), perturb_only="head")
    model.compile(keras.optimizers.SGD(0.1), "mse", **MODES[mode])
    kernel, bias = (net.get_layer("head").kernel, net.get_layer("head").bias)
    features = keras.Model(net.inputs, net.layers[-2].output)
    h = keras.ops.convert_to_numpy(features(X, training=True)).astype("float64")
    w, b = kernel.numpy().astype("float64"), bias.numpy().astype("float64")

    def gradients(w, b):
        error = 2 * (h @ w + b - Y) / len(Y)
        return h.T @ error, error.sum(axis=0)

    g_w, g_b = gradients(w, b)
    length = np.sqrt((g_w**2).sum() + (g_b**2).sum())
    s_w, s_b = gradients(w + 0.5 * g_w / length, b + 0.5 * g_b / length)
    model.train_on_batch(X, Y)
    np.testing.assert_allclose(kernel.numpy(), w - 0.1 * s_w, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(bias.numpy(), b - 0.1 * s_b, rtol=1e-4, atol=1e-6)


def test_averages_of_what_is_not_chosen_stay_zero():
    model = SharpnessAwareModel(network(), FriendlySAM(), perturb_only="kernels")
    model.compile("sgd", "mse")
    model.train_on_batch(X, Y)
    pairs = zip(model.rule.averages, model.trainable_variables, strict=True)
    for average, variable in pairs:
        assert np.any(average.numpy()) == (variable.name == "kernel")


@keras.saving.register_keras_serializable("tests.perturb_only")
def heads(variable):
    return "head" in variable.path


@pytest.mark.parametrize("perturb_only", ["normalization", heads])
@pytest.mark.parametrize("wrap", crossed([SharpnessAwareModel, sharpness_aware], [sharpness_aware]))
def test_saved_with_the_model(wrap, perturb_only, tmp_path):
    model = wrap(network(), "sam", perturb_only=perturb_only)
    model.compile("sgd", "mse")
    model.train_on_batch(X, Y)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").perturb_only == perturb_only


def test_set_while_training():
    rule = Noting(rho=0.1)
    model = SharpnessAwareModel(network(), rule)
    model.compile("sgd", "mse")
    model.train_on_batch(X, Y)
    model.perturb_only = "kernels"
    model.train_on_batch(X, Y)
    assert len(rule.given) == 3


@pytest.mark.parametrize(
    ("perturb_only", "error", "message"),
    [
        ("(", ValueError, "`perturb_only` must be 'normalization', 'kernels', 'lora' or a regular"),
        (3, TypeError, "`perturb_only` must be None, 'normalization', 'kernels', 'lora', a reg"),
        (layers.Dense(1), TypeError, "`perturb_only` must be None"),
        (layers.Dense, TypeError, "`perturb_only` must be None"),
        ({}, TypeError, "`perturb_only` must be None"),
    ],
)
def test_wrong_arguments(perturb_only, error, message):
    with pytest.raises(error) as raised:
        SharpnessAwareModel(network(), "sam", perturb_only=perturb_only)
    assert message in str(raised.value)


def test_a_choice_of_nothing_is_refused_with_what_there_is():
    model = SharpnessAwareModel(network(), "sam", perturb_only="no such")
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"`perturb_only` must choose one .*head/kernel"):
        model.train_on_batch(X, Y)
