"""Several processes train together where plain Keras trains them together.

`tests/training/test_replicas.py` has those of `tf.distribute`.
"""

import json
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_zsharp
from tests.backends import networks
from tests.still import still

BACKEND = keras.backend.backend()
if BACKEND == "tensorflow":
    pytest.skip("test_replicas.py has `tf.distribute`", allow_module_level=True)
TORCH = pytest.mark.skipif(BACKEND != "torch", reason="JAX' processes are in the slow tests")
TIME_LIMIT = 300  # against what hangs


@pytest.fixture
def process_group(tmp_path):
    """Of one process, which is what there is here."""
    distributed = pytest.importorskip("torch.distributed")
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/group", world_size=1, rank=0
    )
    yield
    distributed.destroy_process_group()


@TORCH
def test_in_a_group_of_one_it_is_plain_keras(process_group):
    nets = [networks.network() for _ in range(2)]
    for model in (nets[0], keras_zsharp.SharpnessAwareModel(nets[1], still())):
        networks.trained(networks.compiled(model), examples=96)
    for one, other in zip(*(networks.copied(net.weights) for net in nets), strict=True):
        np.testing.assert_array_equal(one, other)


@TORCH
def test_both_passes_go_through_what_joins_the_processes(process_group):
    """As Keras' own step does from 3.16 on. Before, it has no such attribute."""
    from torch.nn.parallel import DistributedDataParallel

    class Counted(DistributedDataParallel):
        calls = 0

        def forward(self, *args, **kwargs):
            type(self).calls += 1
            return super().forward(*args, **kwargs)

    model = networks.compiled(keras_zsharp.SharpnessAwareModel(networks.network(), "sam"))
    object.__setattr__(model, "ddp_model", Counted(model))
    networks.trained(model, examples=96)
    assert Counted.calls == 2 * 96 // networks.BATCH


@TORCH
def test_a_step_that_one_process_skips_is_skipped_by_all(process_group, monkeypatch):
    """That another process has found a NaN is told by `all_reduce`."""
    import torch

    monkeypatch.setattr(torch.distributed, "all_reduce", lambda found, **_: found.zero_())
    model = keras_zsharp.SharpnessAwareModel(networks.network(), "sam", skip_nonfinite=True)
    networks.compiled(model)
    object.__setattr__(model, "ddp_model", torch.nn.parallel.DistributedDataParallel(model))
    before = networks.copied(model.model.trainable_variables)
    networks.trained(model, examples=96)
    np.testing.assert_array_equal(before[0], networks.copied(model.model.trainable_variables)[0])


@TORCH
def test_shared_weights_are_refused(monkeypatch):
    mesh = keras.distribution.DeviceMesh((1, 1), ["batch", "model"], ["cpu:0"])
    shared = keras.distribution.ModelParallel(
        layout_map=keras.distribution.LayoutMap(mesh), batch_dim_name="batch"
    )
    monkeypatch.setattr(keras.distribution, "distribution", lambda: shared)
    model = networks.compiled(keras_zsharp.SharpnessAwareModel(networks.network(), "sam"))
    with pytest.raises(ValueError, match="must be None or a `DataParallel` on PyTorch"):
        networks.trained(model, examples=96)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of two processes has printed."""
    address = tmp_path_factory.mktemp("processes") / "group"
    if BACKEND == "jax":
        with socket.socket() as free:
            free.bind(("localhost", 0))
            address = ",".join([f"localhost:{free.getsockname()[1]}"] * 2)
    command = [sys.executable, "-m", "tests.backends.processes"]
    arguments = [[str(rank), "2", str(address)] for rank in range(2)]
    started = [
        subprocess.Popen([*command, *each], stdout=subprocess.PIPE, text=True) for each in arguments
    ]
    try:
        printed = [process.communicate(timeout=TIME_LIMIT)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0]
    return [json.loads(text.splitlines()[-1]) for text in printed]


@pytest.mark.slow
def test_at_rest_two_processes_train_as_plain_keras(found):
    assert [each["at rest"] for each in found] == [0.0, 0.0]


@pytest.mark.slow
def test_two_processes_train_as_one_with_the_whole_batch(found):
    assert max(each["sam"] for each in found) < 1e-6
    assert min(each["moved"] for each in found) > 1e-2


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "jax", reason="PyTorch has no `perturbation_sync`")
def test_a_perturbation_of_each_processes_own(found):
    assert max(each["replica"] for each in found) < 1e-6


@pytest.mark.slow
@TORCH
def test_processes_skip_a_step_together(found):
    """The loss of one of them is infinite."""
    one, other = (each["skipped"] for each in found)
    assert one == other
    assert np.isfinite(one).all()
