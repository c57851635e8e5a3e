"""A grid of two methods and two seeds, to be done in seconds."""

import json

from experiments import files

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


def finish(folder, config, accuracy=0.5, validation=0.5, noisy=None):
    """Writes what a finished run leaves, but for its model."""
    folder.mkdir(parents=True, exist_ok=True)
    files.write(folder / "config.json", {**config, "versions": {}})
    epochs = config["epochs"]
    result = {
        "test_accuracy": accuracy,
        "best_test_accuracy": accuracy + 0.01,
        "validation_accuracy": validation,
        **({} if noisy is None else {"noisy_validation_accuracy": noisy}),
        "train_loss": 0.25,
        "seconds": 4.0,
        "epochs": epochs,
    }
    files.write(folder / "result.json", result)
    lines = [f"{epoch},0.25,2,0.5,0.4" for epoch in range(epochs - 1)]
    lines = ["epoch,loss,seconds,test_accuracy,val_accuracy", *lines]
    lines.append(f"{epochs - 1},0.25,2,{accuracy},{validation}\n")
    (folder / "history.csv").write_text("\n".join(lines))
