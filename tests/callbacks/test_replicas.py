"""A run on several devices, or in several processes, goes on with the same bits."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
TIME_LIMIT = 300
PROGRAM = "tests.callbacks.replicas"
pytestmark = pytest.mark.slow


def start(program, *arguments, **environment):
    command = [sys.executable, "-m", program, *map(str, arguments)]
    environment = {**os.environ, **environment}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def free_ports(number):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def ends(processes, files):
    """What the processes have left, after all have ended well."""
    try:
        for process in processes:
            _, errors = process.communicate(timeout=TIME_LIMIT)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
    return [dict(np.load(file)) for file in files]


def on_devices(folder, *arguments):
    file = folder / "end.npz"
    return ends([start(PROGRAM, file, folder / "backup", 2, *arguments)], [file])


def as_workers(folder, *arguments):
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    files = [folder / f"worker{i}.npz" for i in range(2)]
    tasks = [{"cluster": cluster, "task": {"type": "worker", "index": i}} for i in range(2)]
    workers = [
        start(PROGRAM, file, folder / "backup", 1, *arguments, TF_CONFIG=json.dumps(task))
        for file, task in zip(files, tasks, strict=True)
    ]
    return ends(workers, files)


def assert_goes_on(run, folder, *arguments):
    """Two and two epochs end as four."""
    (folder / "straight").mkdir()
    (folder / "resumed").mkdir()
    straight = run(folder / "straight", *arguments, 4)
    run(folder / "resumed", *arguments, 2)
    resumed = run(folder / "resumed", *arguments, 4)
    for expected, got in zip(straight, resumed, strict=True):
        assert len(expected) > 8
        for name, values in expected.items():
            np.testing.assert_array_equal(got[name], values, err_msg=name)


@pytest.mark.parametrize("rule", ["friendly_sam", "look_sam"])
@pytest.mark.parametrize("run", [on_devices, as_workers])
def test_strategies(run, rule, tmp_path):
    pytest.importorskip("tensorflow")
    assert_goes_on(run, tmp_path, rule)
