import os
import pathlib
import subprocess
import sys

import pytest

from examples import custom_loop_jax

ROOT = pathlib.Path(__file__).parents[2]
TRAIN = """
import keras
import numpy as np

from examples import custom_loop_jax
from keras_zsharp import SharpnessAwareModel, rules
from tests.examples.loops import batches, net

for name in ("sam", "friendly_sam", "gsam"):
    keras.utils.set_random_seed(0)
    mine, rule, optimizer = net(), rules.get(name), keras.optimizers.AdamW(1e-2)
    step = custom_loop_jax.make_step(mine, rule, optimizer)
    changing = mine.trainable_variables, mine.non_trainable_variables
    changing += rule.variables, optimizer.variables
    values = [[v.value for v in variables] for variables in changing]
    for batch in batches():
        values, _ = step(values, *batch)
    keras.utils.set_random_seed(0)
    librarys = net()
    model = SharpnessAwareModel(librarys, rules.get(name))
    model.compile(keras.optimizers.AdamW(1e-2), custom_loop_jax.loss_of)
    for batch in batches():
        model.train_on_batch(*batch)
    for variable, value in zip(librarys.trainable_variables, values[0], strict=True):
        np.testing.assert_allclose(value, variable, rtol=1e-5, atol=1e-6, err_msg=name)
    print(name)

custom_loop_jax.main(["--epochs", "1"])
"""


@pytest.mark.slow
def test_the_step_is_the_librarys():
    pytest.importorskip("jax")
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-c", TRAIN]
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    *rules, last = found.stdout.splitlines()
    assert rules == ["sam", "friendly_sam", "gsam"]
    assert last.startswith("Epoch 1: loss ")


def test_another_backend_ends_in_one_sentence():
    with pytest.raises(SystemExit, match="set KERAS_BACKEND=jax"):
        custom_loop_jax.main([])
