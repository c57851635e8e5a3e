"""`keras.distribution` on JAX: a batch, or the weights, on two devices."""

import json
import os
import subprocess
import sys

import keras
import pytest

from keras_zsharp import SharpnessAwareModel

if keras.backend.backend() != "jax":
    pytest.skip("`keras.distribution` trains on JAX", allow_module_level=True)

pytestmark = pytest.mark.matrix


@pytest.fixture(scope="module")
def found():
    flags = "--xla_force_host_platform_device_count=2"
    environment = {**os.environ, "KERAS_BACKEND": "jax", "XLA_FLAGS": flags}
    command = [sys.executable, "-m", "tests.backends.devices"]
    run = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("kind", ["data", "model"])
@pytest.mark.parametrize("rule", ["zsharp", "friendly_sam"])
def test_two_devices_train_as_one(found, kind, rule):
    """Of sharded weights, too, the filter keeps those that it keeps of the whole."""
    assert max(found[f"{kind} {rule}"]) < 1e-5


def test_the_clean_pass_takes_the_first_of_each_devices_share(found):
    assert max(found["data halves"]) < 1e-5
    assert max(found["model halves"]) < 1e-5
    assert found["replica halves"][0] < 1e-5


def test_intervals_on_two_devices(found):
    assert max(found["every other"]) < 1e-5


def test_a_perturbation_of_each_replicas_own(found):
    """As with parts of a batch, but for the statistics that these move one after the other."""
    weights, _ = found["replica"]
    assert weights < 1e-5
    assert found["replica is not global"][0] > 1e-3


def test_random_directions_on_two_devices(found):
    """One that all share, or one of each replica's own."""
    assert found["random"][0] < 1e-5
    assert found["random by replicas"][0] > 1e-3


def test_state_that_looks_like_a_seed_is_none(found):
    assert max(found["a table"]) < 1e-5


def test_replicas_that_share_the_weights_have_one_perturbation(found):
    assert "under a `ModelParallel`, whose devices share the weights" in found["refused"]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("sum", "`mean_of_parts` must be True"),
        ("state", "must say how the parts of a batch are put together"),
        ("state of halves", "must say how the parts of a batch are put together"),
        ("stateful", "must not be `stateful`"),
        ("bank", "`batched_inputs` must be"),
    ],
)
def test_what_replicas_cannot_average_is_refused(found, what, said):
    assert said in found["parts"][what]
    assert 'perturbation_sync="replica"' in found["parts"][what]


def test_what_replicas_can_put_together(found):
    assert "counted" not in found["parts"]
    assert found["parts"]["count"] == 8
    assert found["parts"]["whole bank"] < 1e-6


def test_a_batch_that_does_not_divide_stops_as_in_plain_keras(found):
    assert found["uneven"] == ["IndivisibleError"] * 2


def test_each_replica_has_seeds_of_its_own():
    import jax.numpy as jnp

    from keras_zsharp.backend.jax.devices import _with_own_seeds
    from keras_zsharp.backend.jax.state import State

    net = keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.5, seed=7)])
    model = SharpnessAwareModel(net, "sam")
    model.add_weight((2,), dtype="uint32", trainable=False, name="no_seed")
    variables = model.non_trainable_variables
    state = State([], [v.value for v in variables], [], [])
    first, second = (_with_own_seeds(model, state, jnp.int32(i)).others for i in range(2))
    [seed] = [i for i, v in enumerate(variables) if "seed_generator" in v.path]
    assert second[seed].tolist() == (first[seed] + jnp.array([1, 0], "uint32")).tolist()
    for i, value in enumerate(state.others):
        assert first[i].tolist() == value.tolist()
        assert i == seed or second[i].tolist() == value.tolist()
