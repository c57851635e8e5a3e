import gc
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import pytest
from hypothesis import settings

from tests.tiers import TIERS

TENSORFLOW_ALONE = [
    *(f"training/{name}.py" for name in ("refused", "replicas", "resumed")),
    *(f"training/test_{name}.py" for name in ("batches_cut", "gradients", "graphs", "noise")),
    *(f"training/test_{name}.py" for name in ("replicas", "resuming", "weights_in_sight")),
    *("training/test_written.py", "training/test_keras_io_models.py", "test_export.py"),
]
"""Graphs, strategies, `tf.data` and SavedModels. `tests/backends` has what others have of it."""
collect_ignore = [] if keras.backend.backend() == "tensorflow" else TENSORFLOW_ALONE

# Each test process has a core of its own.
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)

# The same examples in every run; `HYPOTHESIS_PROFILE=ci` tries many more.
always_the_same = {"deadline": None, "derandomize": True, "database": None}
settings.register_profile("fast", max_examples=10, **always_the_same)
settings.register_profile("ci", max_examples=150, **always_the_same)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


@pytest.fixture(autouse=True)
def _reproducible():
    keras.utils.set_random_seed(0)


def _without_garbage():
    """What is left of a collection is left out of the next: it is not looked through again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _free_memory():
    """Once a module: with every test, it took three quarters of the suite's time."""
    yield
    keras.utils.clear_session(free_memory=False)
    _without_garbage()


def pytest_collection_finish():
    _without_garbage()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Whole models under XLA compile for seconds each: they belong to the matrix."""
    for item in items:
        tiers = {mark.name for mark in item.iter_markers()} & set(TIERS)
        if not tiers and item.path.parent.name == "training" and "xla" in item.name:
            item.add_marker(pytest.mark.matrix)
        elif len(tiers) > 1:
            raise pytest.UsageError(f"{item.nodeid} must be in one tier, not in {sorted(tiers)}")
