"""The notebooks of examples/, and what tests read in them."""

import pathlib

import nbformat

ROOT = pathlib.Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
METHODS = ["AdamW", "SAM", "ZSharp"]
"""The rows of each one's table."""
PICTURES = {
    "colab_cifar10": ["data", "curves", "landscape"],
    "colab_quickstart": ["data", "curves", "landscape"],
    "colab_segmentation": ["data", "curves", "masks"],
}
"""The cells that draw."""


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(book):
    return [cell for cell in book.cells if cell.cell_type == "code"]


def tags(cell):
    return set(cell.metadata.get("tags", ()))


def outputs(book, kind):
    """What the cells show of a MIME type, by the cells' names."""
    return {
        cell.id: output.data[kind]
        for cell in book.cells
        for output in cell.get("outputs", ())
        if kind in output.get("data", {})
    }
