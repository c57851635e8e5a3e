"""Sweeps SAM's radius with KerasTuner, and tests the best.

    pip install "keras-zsharp[datasets]" keras-tuner
    python examples/tune_rho.py

Takes 2 minutes of a CPU core. Prints the held-out accuracy of each radius, a mean over two runs,
and the test accuracy of the best. The data are scikit-learn's digits, 40 % of whose training labels
are wrong, but none of the fifth that is held out.

The accuracy of a run is that of its best epoch. KerasTuner writes the trials into `--output`, over
those of a sweep before: it cannot go on with a grid that was interrupted.
"""

import argparse
import os


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--output", default="tune-rho", help="folder of the sweep")
    options = parser.parse_args(arguments)
    if options.epochs < 1:
        parser.error("--epochs must be >= 1")
    return options


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_tuner

import keras_zsharp

RADII = [0.05, 0.1, 0.2, 0.5, 1.0]


def build(hp):
    """The compiled model of a trial."""
    net = keras_zsharp.models.small_cnn()
    rule = keras_zsharp.SAM(rho=hp.Choice("rho", RADII))
    model = keras_zsharp.SharpnessAwareModel(net, rule)
    model.compile(
        "adamw", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    return model


def main(arguments=None):
    options = parse(arguments)
    print("Trains a CNN twice with each of 5 radii: 2 minutes of a CPU core.", flush=True)
    keras.utils.set_random_seed(0)
    data = keras_zsharp.data.digits(label_noise=0.4, validation=0.2)
    tuner = keras_tuner.GridSearch(
        build,
        objective="val_accuracy",
        executions_per_trial=2,
        overwrite=True,
        directory=options.output,
        project_name="rho",
    )
    tuner.search(data.train, validation_data=data.validation, epochs=options.epochs, verbose=2)
    for trial in tuner.oracle.get_best_trials(len(RADII)):
        print(f"rho={trial.hyperparameters['rho']}: {100 * trial.score:.1f} % held out")
    [best] = tuner.get_best_models()
    accuracy = best.evaluate(data.test, verbose=0, return_dict=True)["accuracy"]
    print(f"Test accuracy at rho={best.rule.rho}: {100 * accuracy:.1f} %")


if __name__ == "__main__":
    main()
