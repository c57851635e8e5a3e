"""The notebooks are run whole, in a kernel of their own, on small settings."""

import base64
import math
import re
import sys

import ipykernel.kernelspec
import nbclient
import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from tests.examples.notebooks import METHODS, NOTEBOOKS, PICTURES, ROOT, outputs, read, tags

COLAB_ONLY = {"install", "colab"}
SMALL = {
    "colab_quickstart": """
        EPOCHS, SEEDS, LABEL_NOISE, RHO, BALL_RHO, POINTS = 2, (0, 1), 0.4, 0.2, 0.05, 3
    """,
    "colab_segmentation": """
        EPOCHS, SEED, PICTURES, OVERLOOKED, RHO = 2, 0, 16, 0.3, 0.2
    """,
    "colab_cifar10": """
        NETWORK, EPOCHS, SEEDS, BATCH_SIZE, LABEL_NOISE = "resnet20", 2, (0,), 4, 0.0
        RHO, PRECISION, RUNS, DATA = 0.05, "float32", "runs", "data"
        BALL_RHO, MEASURED_BATCHES, POINTS = 0.05, 1, 3
    """,
}
MEASURES = {"colab_segmentation": "test overlap (%)"}  # of the others: test accuracy
FIRST = f"""
import sys

sys.path.insert(0, {str(ROOT)!r})

import tensorflow as tf
import tensorflow_datasets as tfds

assert sys.executable == {sys.executable!r}
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
mocked = tfds.testing.mock_data(num_examples=8)
mocked.__enter__()
"""
# Whoever runs the notebook again reads the runs that have finished, and goes on with the others.
AGAIN = """
import unittest.mock


def assert_same(old, new):
    for a, b in zip(old.get_weights(), new.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


build_of_notebook = build


def build(*arguments):
    network, model = build_of_notebook(*arguments)
    model.fit = None
    return network, model


for (method, seed), (network, _, history) in runs.items():
    read, _, history_read = train(method, seed)
    assert history_read == history
    assert_same(read, network)
build = build_of_notebook


class Interrupt(keras.callbacks.Callback):
    def __init__(self, *arguments, **options):
        super().__init__()

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


NETWORK = "small_cnn"
interrupted = False
with unittest.mock.patch("keras.callbacks.TensorBoard", Interrupt):
    try:
        train("ZSharp", 0)
    except KeyboardInterrupt:
        interrupted = True
assert interrupted
resumed, _, history = train("ZSharp", 0)
assert history["epoch"] == [0, 1]
RUNS = "straight"
straight, _, history_straight = train("ZSharp", 0)
assert history == history_straight
assert_same(resumed, straight)
"""


def execute(book, name, folder):
    """Runs `book` in `folder` with this Python, without what only Colab has."""
    lines = [line.strip() for line in SMALL[name].strip().splitlines()]
    [settings] = [cell for cell in book.cells if "parameters" in tags(cell)]
    names = set(re.findall(r"^(\w+) = ", settings.source, re.MULTILINE))
    assert names == set(re.findall(r"\b[A-Z_]{3,}\b", "\n".join(lines))), "settings have changed"
    settings.source = "\n".join(lines)
    book.cells = [cell for cell in book.cells if not tags(cell) & COLAB_ONLY]
    book.cells.insert(0, nbformat.v4.new_code_cell(FIRST))
    if name == "colab_cifar10":
        book.cells.append(nbformat.v4.new_code_cell(AGAIN))
    ipykernel.kernelspec.write_kernel_spec(str(folder / "kernels" / "python3"))
    specs = KernelSpecManager(kernel_dirs=[str(folder / "kernels")])
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs)
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(book, km=manager, timeout=600, resources=resources).execute()


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    book = read(path)
    execute(book, path.stem, tmp_path)
    [table] = outputs(book, "text/markdown").values()
    header, _, *rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    assert MEASURES.get(path.stem, "test accuracy (%)") in header
    assert [row[0] for row in rows] == METHODS
    for row in rows:
        values = [float(value) for column in row[1:] for value in column.split(" ± ")]
        assert all(math.isfinite(value) for value in values)
        assert 0 <= values[0] <= 100
    pictures = outputs(book, "image/png")
    assert list(pictures) == PICTURES[path.stem]
    for picture in pictures.values():
        assert base64.b64decode(picture).startswith(b"\x89PNG")
    if path.stem == "colab_cifar10":
        assert list((tmp_path / "runs").rglob("events.out.tfevents*"))  # for TensorBoard
        assert not list((tmp_path / "runs").rglob("backup"))
