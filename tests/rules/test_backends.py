"""The rules run on another backend of Keras, with the same result."""

import os
import subprocess
import sys

import numpy as np
import pytest

import keras_zsharp

PROGRAM = """
import sys

import jax
import keras
import numpy as np

from keras_zsharp import rules
from keras_zsharp.selection import masks, order

folder, (kernel, square, bias) = sys.argv[1], np.load(sys.argv[1] + "/gradients.npz").values()
assert keras.backend.backend() == "jax"
variables = [keras.Variable(np.ones(g.shape), name="kernel") for g in (kernel, square, bias)]
for name in sys.argv[2:]:
    rule = rules.get(name)
    rule.rho = 0.1
    epsilons = rule([kernel, square, bias], variables, 0)
    np.savez(f"{folder}/{name}.npz", *map(np.asarray, epsilons))
for size in (1000, 5000):
    x = np.abs(kernel.reshape(2, -1))[:, :size]
    found = jax.jit(order.kth_largest, static_argnums=1)(x, 50)
    np.testing.assert_array_equal(found, np.sort(x)[:, -50])
found = jax.jit(lambda g: masks.zscore_masks(g, 0.95))([kernel, square])
for ours, plain in zip(found, masks.zscore_masks([kernel, square], 0.95)):
    np.testing.assert_array_equal(ours, plain)
"""
RULES = [name for name in keras_zsharp.rules.RULES if name != "random_sam"]
"""Each backend draws other numbers."""


@pytest.mark.slow
def test_rules_on_jax(tmp_path):
    pytest.importorskip("jax")
    random = np.random.default_rng(0)
    shapes = ((3, 3, 32, 64), (40, 40), (40,))
    gradients = [random.normal(size=shape).astype("float32") for shape in shapes]
    np.savez(tmp_path / "gradients.npz", *gradients)
    subprocess.run(
        [sys.executable, "-W", "error:::keras_zsharp", "-c", PROGRAM, str(tmp_path), *RULES],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        check=True,
    )
    for name in RULES:
        rule = keras_zsharp.rules.get(name)
        rule.rho = 0.1
        variables = [np.ones(shape, "float32") for shape in shapes]
        epsilons = rule(gradients, variables, 0)
        on_jax = np.load(tmp_path / f"{name}.npz").values()
        for ours, theirs in zip(epsilons, on_jax, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-9)
