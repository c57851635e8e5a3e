"""Does runs in other processes: on this machine or on the nodes of a Ray cluster."""

import contextlib
import multiprocessing
import os

from experiments import runs

RETRIES = 3
"""How often Ray does a run again whose process was killed: it goes on from its backup."""
RUNS_A_PROCESS = 8
"""How many runs a process of Ray does on CPUs: it takes as long to start as a third of a small run.
TensorFlow keeps memory of every network that its process has had, and a GPU's until it ends."""


class Failed(RuntimeError):
    """A run has stopped with an error; what it has done is kept."""

    def __init__(self, name, why):
        super().__init__(f"{name}: {why}\nWith that mended, the same command goes on where it was")


def here(jobs):
    """Does one run after the other, and yields the name of each that is done; or raises `Failed`.

    Each has a process of its own, which ends where this one is interrupted; where this one is
    killed, it goes on.

    Args:
        jobs: By the name of the run: the arguments of `runs.do`.
    """
    spawn = multiprocessing.get_context("spawn")
    for name, job in jobs.items():
        ours, its = spawn.Pipe(duplex=False)
        process = spawn.Process(target=_in_child, args=(its, runs.do, job), daemon=True)
        process.start()
        its.close()
        try:
            why = ours.recv()
            process.join()
        except EOFError:
            process.join()
            why = f"its process has ended with status {process.exitcode}"
        if why:
            raise Failed(name, why)
        yield name


def _in_child(pipe, do, job):
    # Nobody may be there to listen any more.
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        pipe.send(_try(do, job))


def _try(do, job):
    """Does a run; gives why it failed, as text: not every error can be sent to another process."""
    try:
        do(**job)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def on_ray(address, cpus, gpus):
    """What does as many runs at a time as a cluster has room for, as `here` does one.

    The nodes must see the folders of the runs and this source under the same paths.

    Args:
        address: As `ray.init` takes it; "local" starts Ray on this machine, for this program.
        cpus: Cores of a run, which TensorFlow keeps to.
        gpus: Of a run, may be a fraction; None for one where the cluster has any.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise ImportError("--ray needs Ray: pip install 'keras-zsharp[cluster]'") from error
    own = {"_node_ip_address": "127.0.0.1", "include_dashboard": False}
    ray.init(address, log_to_driver=False, **(own if address == "local" else {}))
    if gpus is None:
        gpus = min(1, ray.cluster_resources().get("GPU", 0))
    options = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": RETRIES}
    attempt = ray.remote(max_calls=1 if gpus else RUNS_A_PROCESS, **options)(_try)

    def engine(jobs):
        tasks = {attempt.remote(runs.do, job): name for name, job in jobs.items()}
        while tasks:
            [task], _ = ray.wait(list(tasks))
            name = tasks.pop(task)
            try:
                why = ray.get(task)
            except ray.exceptions.RayError as error:
                why = str(error)
            if why:
                raise Failed(name, why)
            yield name

    return engine
