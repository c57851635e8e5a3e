"""Trains a small CNN on real digits with wrong labels, with and without sharpness-awareness.

    python examples/quickstart.py

Keras' backends JAX and PyTorch train it as well: `KERAS_BACKEND=jax python examples/quickstart.py`.
Every method trains the same network on scikit-learn's 8x8 digits, with 40 % of the training labels
moved to a wrong class, and is tested on clean ones. Prints a table and writes it as `quickstart.md`
and `quickstart.csv`, beside `quickstart.png`, a picture of the test accuracy over the epochs. After
every run all are up to date, so that an interrupted comparison keeps what it has.
"""

import argparse
import csv
import math
import pathlib
import statistics
import time

import keras

import keras_zsharp

# The radii are those that suit this task; the rules' defaults are the papers' for CIFAR.
METHODS = {
    "adamw": ("AdamW", lambda: None),
    "sam": ("SAM, rho=0.2", lambda: keras_zsharp.SAM(rho=0.2)),
    "asam": ("ASAM, rho=2", lambda: keras_zsharp.ASAM(rho=2.0)),
    "friendly_sam": ("Friendly-SAM, rho=0.2", lambda: keras_zsharp.FriendlySAM(rho=0.2)),
    "zsharp": ("ZSharp, rho=0.2", lambda: keras_zsharp.ZSharp(rho=0.2)),
    "zsharp_per_variable": (
        "ZSharp per variable, rho=0.2",
        lambda: keras_zsharp.ZSharp(rho=0.2, norm="per_variable"),
    ),
}
BATCH = 64
PROBE_RHO = 0.05
HEADER = ("method", "test accuracy (%)", "train loss", "sharpness", "step (ms)")


class Progress(keras.callbacks.Callback):
    """One bar for the whole run; keeps the time of a training step, epoch by epoch."""

    def __init__(self, title, epochs):
        super().__init__()
        print(title, flush=True)
        self.bar = keras.utils.Progbar(epochs, stateful_metrics=("loss", "val_accuracy"))
        self.step_times = []

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.last_batch, self.stopped = batch, time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.step_times.append((self.stopped - self.started) / (self.last_batch + 1))
        self.bar.update(epoch + 1, [(name, logs[name]) for name in ("loss", "val_accuracy")])


def loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def train(method, seed, epochs, noise):
    """One run: its results as a dict."""
    title, rule = METHODS[method]
    keras.utils.set_random_seed(seed)
    bundle = keras_zsharp.data.digits(label_noise=noise, seed=seed)
    images, labels = bundle.arrays["train"]
    network = keras_zsharp.models.small_cnn(bundle.input_shape, bundle.classes)
    perturbation = rule()
    model = network
    if perturbation is not None:
        model = keras_zsharp.SharpnessAwareModel(network, perturbation)
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, epochs * math.ceil(len(labels) / BATCH))
    model.compile(keras.optimizers.AdamW(schedule), loss=loss(), metrics=["accuracy"])
    progress = Progress(f"{title}, seed {seed}", epochs)
    history = model.fit(
        images,
        labels,
        BATCH,
        epochs,
        validation_data=bundle.arrays["test"],
        callbacks=[progress],
        verbose=0,
    ).history
    return {
        "accuracy": [100 * accuracy for accuracy in history["val_accuracy"]],
        "loss": history["loss"][-1],
        "sharpness": sharpness(network, images, labels),
        # The first epoch traces and compiles.
        "step": statistics.median(progress.step_times[1:] or progress.step_times),
    }


def sharpness(network, images, labels):
    """Mean of `L(w + e) - L(w)` over the training set, e of SAM: the same measure for all."""
    probe = keras_zsharp.SharpnessAwareModel(network, keras_zsharp.SAM(rho=PROBE_RHO))
    probe.compile(keras.optimizers.SGD(0.0), loss=loss())
    return probe.fit(images, labels, BATCH, verbose=0).history["sharpness"][0]


def summary(runs):
    """One row per method that has runs, as a dict; the rows of the CSV."""
    rows = []
    for method, of_method in runs.items():
        accuracies = [run["accuracy"][-1] for run in of_method]

        def mean(key, of_method=of_method):
            return statistics.mean(run[key] for run in of_method)

        rows.append(
            {
                "method": METHODS[method][0],
                "seeds": len(of_method),
                "accuracy_mean": round(statistics.mean(accuracies), 4),
                "accuracy_std": round(statistics.stdev(accuracies), 4) if accuracies[1:] else 0.0,
                "train_loss": round(mean("loss"), 5),
                "sharpness": round(mean("sharpness"), 5),
                "step_ms": round(1000 * mean("step"), 2),
            }
        )
    return rows


def markdown(rows):
    """The table of `summary`'s rows in Markdown."""
    lines = [
        "| " + " | ".join(HEADER) + " |",
        "| --- |" + " ---: |" * (len(HEADER) - 1),
    ]
    for row in rows:
        lines.append(
            "| {method} | {accuracy_mean:.1f} ± {accuracy_std:.1f} | {train_loss:.3f} "
            "| {sharpness:.4f} | {step_ms:.1f} |".format(**row)
        )
    return "\n".join(lines)


def write(runs, output):
    """Writes `quickstart.md`, `quickstart.csv` and `quickstart.png` into the folder `output`."""
    rows = summary(runs)
    (output / "quickstart.md").write_text(markdown(rows) + "\n", encoding="utf-8")
    with open(output / "quickstart.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=rows[0])
        writer.writeheader()
        writer.writerows(rows)
    draw(runs, output / "quickstart.png")


def draw(runs, path):
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.add_subplot()
    lowest = 100
    for method, of_method in runs.items():
        points = list(zip(*(run["accuracy"] for run in of_method), strict=True))
        epochs = range(1, len(points) + 1)
        [line] = axes.plot(epochs, [statistics.mean(p) for p in points], label=METHODS[method][0])
        low, high = [min(p) for p in points], [max(p) for p in points]
        axes.fill_between(epochs, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
        lowest = min(lowest, *low[len(low) // 4 :])
    axes.set(xlabel="epoch", ylabel="test accuracy (%)", title="Digits with wrong training labels")
    # What happens after the first quarter; the climb from chance is the same for all.
    axes.set_ylim(max(0, lowest - 5), 100)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=100)


def main(arguments=None):
    options = parse(arguments)
    runs = {}
    try:
        for seed in range(options.seeds):
            for method in options.methods:
                run = train(method, seed, options.epochs, options.noise)
                runs.setdefault(method, []).append(run)
                write(runs, options.output)
    except KeyboardInterrupt:
        print("\nInterrupted; this is what had finished.")
    print(markdown(summary(runs)))
    print(f"Test accuracy: mean ± standard deviation over seeds. Written to {options.output}")


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=2, help="runs of each method")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--noise", type=float, default=0.4, help="share of wrong training labels")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("quickstart-results"))
    options = parser.parse_args(arguments)
    if options.epochs < 1 or options.seeds < 1:
        parser.error("--epochs and --seeds must be >= 1")
    if not 0 <= options.noise <= 1:
        parser.error("--noise must be in [0, 1]")
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--output must be a folder that can be written: {error}")
    return options


if __name__ == "__main__":
    main()
