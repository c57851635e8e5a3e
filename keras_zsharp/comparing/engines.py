"""Does runs: in this process, each in one of its own, or on the nodes of a Ray cluster."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection
from typing import Any, TypeAlias

from keras_zsharp import backend
from keras_zsharp.comparing.run import Run, WrongReturn

RETRIES = 3
"""How often Ray does a run again whose process was killed: it goes on from its backup."""
RUNS_A_PROCESS = 8
"""How many runs a process of Ray does without a GPU: it takes as long to start as a small run.
A backend keeps memory of every network that its process has had, and a GPU's until it ends."""

Outcome: TypeAlias = tuple[Run, dict[str, Any] | None, str | WrongReturn]
"""A run with what it found, or why it failed."""
Engine: TypeAlias = Callable[[Sequence[Run]], Iterator[Outcome]]


def here(runs: Sequence[Run]) -> Iterator[Outcome]:
    """Does one run after the other in this process."""
    for run in runs:
        found, why = _attempt(run)
        yield run, found, why


def processes(at_a_time: int) -> Engine:
    """What does so many runs at a time, each in a process of its own, which ends with this one."""
    spawn = multiprocessing.get_context("spawn")

    def engine(runs):
        _check_pickled(runs)
        os.environ["KERAS_BACKEND"] = backend.NAME
        waiting, busy = list(runs)[::-1], {}
        try:
            while waiting or busy:
                while waiting and len(busy) < at_a_time:
                    run = waiting.pop()
                    ours, its = spawn.Pipe(duplex=False)
                    process = spawn.Process(target=_in_child, args=(its, run), daemon=True)
                    process.start()
                    its.close()
                    busy[ours] = run, process
                for pipe in connection.wait(list(busy)):
                    run, process = busy.pop(pipe)
                    found, why = _received(pipe, process)
                    yield run, found, why
        finally:
            for _, process in busy.values():
                process.terminate()

    return engine


def on_ray(address: str, num_cpus: float, num_gpus: float | None) -> Engine:
    """What does as many runs at a time as a Ray cluster has room for.

    Args:
        address: As `ray.init` takes it. "local" starts Ray on this machine, for this program.
        num_cpus: Cores of a run.
        num_gpus: GPUs of a run. None is one where the cluster has any.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        from ray import exceptions
    except ImportError as error:
        raise ImportError("`ray` needs Ray: pip install 'keras-zsharp[cluster]'") from error
    own = {"_node_ip_address": "127.0.0.1", "include_dashboard": False}
    if not ray.is_initialized():
        try:
            ray.init(address, log_to_driver=False, **(own if address == "local" else {}))
        except (ValueError, ConnectionError) as error:
            raise ValueError(
                '`ray` must be the address of a cluster, or "local". '
                f"Received: ray={address!r} ({error})"
            ) from error
    if num_gpus is None:
        num_gpus = min(1, ray.cluster_resources().get("GPU", 0))
    variables = {"env_vars": {"KERAS_BACKEND": backend.NAME}}
    attempt = ray.remote(
        max_calls=1 if num_gpus else RUNS_A_PROCESS,
        num_cpus=num_cpus,
        num_gpus=num_gpus,
        max_retries=RETRIES,
        runtime_env=variables,
    )(_attempt)

    def engine(runs):
        tasks = {attempt.remote(run): run for run in runs}
        while tasks:
            [task], _ = ray.wait(list(tasks))
            run = tasks.pop(task)
            try:
                found, why = ray.get(task)
            except exceptions.RayError as error:
                found, why = None, str(error)
            yield run, found, why

    return engine


def _attempt(run: Run) -> tuple[dict[str, Any] | None, str | WrongReturn]:
    """What a run found, and why it failed, as text: not every error goes to another process."""
    try:
        return run.do(), ""
    except WrongReturn as error:
        return None, error
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


def _in_child(pipe, run):
    # Nobody may be there to listen any more.
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        pipe.send(_attempt(run))


def _received(pipe, process):
    try:
        outcome = pipe.recv()
    except EOFError:
        outcome = None
    process.join()
    return outcome or (None, f"its process has ended with status {process.exitcode}")


def _check_pickled(runs):
    try:
        pickle.dumps(runs[0])
    except Exception as error:
        raise TypeError(
            "`train`, and the rules, must be defined at the top of a module for `processes`, which "
            f"import them. In a notebook take `ray='local'`. {type(error).__name__}: {error}"
        ) from error
