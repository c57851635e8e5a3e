import gc
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import pytest
import tensorflow as tf

VARIANTS = ("zsharp_all_ranks", "zsharp_magnitude", "zsharp_one_quantile")

# Two test processes share two cores.
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)


@pytest.fixture(autouse=True)
def _reproducible():
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Slow: whole models under XLA, which compile for seconds each, and variants of ZSharp."""
    for item in items:
        compiled = item.path.parent.name in ("training", "models") and "xla" in item.name
        if compiled or any(name in item.name for name in VARIANTS):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish():
    """`clear_session` collects garbage: not among all that the libraries have made on import."""
    gc.collect()
    gc.freeze()
