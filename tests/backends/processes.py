"""Training in several processes, compared with training in one.

A program of `test_processes.py`: `python -m tests.backends.processes RANK WORLD ADDRESS`. Prints a
line of JSON. Each process has its part of the data.
"""

import json
import sys

import keras
import numpy as np

from keras_zsharp import SAM, SharpnessAwareModel
from tests.backends.networks import copied, flat
from tests.still import still

RANK, WORLD = map(int, sys.argv[1:3]) if __name__ == "__main__" else (0, 1)
BATCH, BATCHES = 8, 3
"""Of a process, in an epoch."""


def plain(net):
    return net


def at_rest(net):
    return SharpnessAwareModel(net, still())


def sam(net, **options):
    return SharpnessAwareModel(net, SAM(rho=0.3), **options)


class Net(keras.Model):
    """Its layers are called by what `join` makes of them: on PyTorch, gradients are averaged."""

    def __init__(self, join=None):
        super().__init__()
        layers = [keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(1)]
        self.net = keras.Sequential([keras.Input((3,)), *layers])
        # A module among the attributes would be a layer of its own.
        object.__setattr__(self, "joined", [join(self.net) if join else self.net])
        self.build((None, 3))

    def call(self, inputs):
        return self.joined[0](inputs)


def data():
    """All of it, in an order in which the batches of one process are those of all."""
    random = np.random.default_rng(0)
    x = random.normal(size=(WORLD * BATCH * BATCHES, 3)).astype("float32")
    return x, x[:, :1] * x[:, 1:2]


def own(values):
    """This process's examples: its part of every batch."""
    return values.reshape(BATCHES, WORLD, BATCH, -1)[:, RANK].reshape(BATCH * BATCHES, -1)


def weights_after(way, part=own, batch=BATCH, join=None, poison=None, **options):
    keras.utils.set_random_seed(0)
    net = Net(join)
    model = way(net, **options)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    x, y = map(part, data())
    if poison == RANK:
        y[:BATCH] = np.inf
    model.fit(x, y, batch_size=batch, epochs=2, shuffle=False, verbose=0)
    return flat(copied(net.trainable_variables))


def alone(way, **options):
    """One process with the whole batches."""
    return weights_after(way, lambda values: values, BATCH * WORLD, **options)


def distance(one, other):
    return float(np.abs(one - other).max())


def of_jax(address):
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    keras.distribution.initialize(address, WORLD, RANK)
    distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
    keras.distribution.set_distribution(distribution)
    together = {
        name: weights_after(way, **options)
        for name, (way, options) in {
            "plain": (plain, {}),
            "at rest": (at_rest, {}),
            "sam": (sam, {}),
            "replica": (sam, {"perturbation_sync": "replica"}),
        }.items()
    }
    keras.distribution.set_distribution(None)
    return {
        "at rest": distance(together["at rest"], together["plain"]),
        "sam": distance(together["sam"], alone(sam)),
        "replica": distance(together["replica"], alone(sam, micro_batches=WORLD)),
        "moved": distance(together["sam"], together["plain"]),
    }


def of_torch(path):
    import torch
    from torch.nn.parallel import DistributedDataParallel

    def together(way, **options):
        # From Keras 3.16 on, `fit` itself joins the processes.
        join = None if hasattr(keras.Model(), "ddp_model") else DistributedDataParallel
        return weights_after(way, join=join, **options)

    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{path}", world_size=WORLD, rank=RANK
    )
    found = {"plain": together(plain), "at rest": together(at_rest), "sam": together(sam)}
    skipped = together(sam, skip_nonfinite=True, poison=1)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    return {
        "at rest": distance(found["at rest"], found["plain"]),
        "sam": distance(found["sam"], alone(sam)),
        "moved": distance(found["sam"], found["plain"]),
        "skipped": skipped.tolist(),
    }


if __name__ == "__main__":
    of = {"jax": of_jax, "torch": of_torch}[keras.backend.backend()]
    print(json.dumps(of(sys.argv[3])))
