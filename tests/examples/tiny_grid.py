"""A grid of two methods and two seeds, to be done in seconds."""

import json

CONFIG = """
from experiments.grid import Grid, Method, Recipe, Setting

GRID = Grid(
    title="Tiny",
    recipe=Recipe({epochs}, 256, "sgd", 0.05, 1e-3, "cosine", None, 0.4, 0.2, 0),
    settings=(Setting("Digits", "digits", "small_cnn"),),
    methods=(Method("SGD"), Method("F-SAM", "FriendlySAM", {{"rho": 0.2}})),
    reference="SGD",
    seeds=(0, 1),
)
"""
NAMES = [f"digits-{method}-seed{seed}" for seed in (0, 1) for method in ("sgd", "f-sam")]


def config(folder, epochs):
    path = folder / "tiny.py"
    path.write_text(CONFIG.format(epochs=epochs))
    return str(path)


def result(folder):
    return json.loads((folder / "result.json").read_text())
