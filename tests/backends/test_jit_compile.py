"""PyTorch's compiler follows the step of each rule, or leaves it to Python."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_zsharp import SharpnessAwareModel
from tests.rules.rules import RULES, fresh
from tests.tiers import crossed

if keras.backend.backend() != "torch":
    pytest.skip("the other backends compile by default", allow_module_level=True)

X = np.random.default_rng(0).normal(size=(12, 5)).astype("float32")
Y = np.ones((12, 1), "float32")
OPTIONS = {
    "whole": {},
    "parts": {"micro_batches": 2, "mean_of_parts": True},
    "every": {"perturb_every": 2},
    "skipping": {"skip_nonfinite": True},
}
CELLS = [*((name, "whole") for name in RULES), *(("sam", name) for name in OPTIONS)]


def trained(name, option, **mode):
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((5,)), layers.Dense(4, activation="tanh"), layers.Dense(1)])
    model = SharpnessAwareModel(net, fresh(name), **OPTIONS[option])
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", **mode)
    model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    return model.get_weights()


@pytest.mark.parametrize(
    ("name", "option"), crossed(dict.fromkeys(CELLS), [("look_sam", "whole"), ("sam", "skipping")])
)
def test_it_trains_as_without_it(name, option):
    expected = trained(name, option)
    for ours, plain in zip(trained(name, option, jit_compile=True), expected, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-6)
