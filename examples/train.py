"""Trains one of the papers' networks on one of their datasets with the ZSharp paper's recipe.

    python examples/train.py --dataset cifar10 --model resnet56 --perturbation zsharp

AdamW with learning rate 1e-3, times 0.75 every 10 epochs, and weight decay 5e-5; batches of 256
for 200 epochs; rho 0.05, q_p 0.95, and ZSharp's radius per variable as in the authors' released
code, which their tables come from.

The folder of the run gets `config.json`, `history.csv`, a line per epoch, and at last `model.keras`
and `result.json`. When the same command is given again, an interrupted run goes on after its last
whole epoch, as if it had never been interrupted.
"""

import pathlib

from experiments import programs, recipe, runs
from keras_zsharp import data, models, perturbations

MODELS = [name for name in models.__all__ if name not in ("cifar_resnet", "wide_resnet")]


def config(options):
    """The settings of the run, as `experiments.runs` takes them."""
    of_zsharp = {"q_p": options.q_p, "norm": options.norm}
    settings = {"rho": options.rho, **(of_zsharp if options.perturbation == "zsharp" else {})}
    rule = perturbations.RULES.get(options.perturbation)
    how = recipe.Recipe(
        epochs=options.epochs,
        batch_size=options.batch_size,
        optimizer="adamw",
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        schedule="steps",
        augment=options.augment,
        label_noise=options.label_noise,
        validation=options.validation,
    )
    return {
        "dataset": options.dataset,
        "model": options.model,
        "rule": rule and rule.__name__,
        "settings": settings if rule else {},
        "seed": options.seed,
        **vars(how),
    }


def main(arguments=None):
    options = parse(arguments)

    def tell(bundle, network):
        print(
            f"{options.dataset}: {bundle.sizes}, {bundle.classes} classes, "
            f"{bundle.noisy_labels} training labels moved; "
            f"{options.model}: {network.count_params():,} parameters",
            flush=True,
        )

    with programs.stopping(options.output):
        result = runs.do(
            config(options),
            options.output,
            wait=False,
            data_dir=options.data_dir,
            verbose=options.verbose,
            tell=tell,
        )
    print(f"Test accuracy {100 * result['test_accuracy']:.2f} %; written to {options.output}")


def parse(arguments):
    parser = programs.parser(__doc__)
    add = parser.add_argument
    add("--dataset", choices=data.NAMES, default="cifar10")
    add("--model", choices=MODELS, default="resnet56")
    rules = ("none", *perturbations.RULES)
    add("--perturbation", choices=rules, default="zsharp", help="none: the optimizer alone")
    add("--rho", type=float, default=0.05)
    add("--q-p", type=float, default=0.95, help="ZSharp's percentile")
    add("--norm", choices=("per_variable", "global"), default="per_variable", help="of ZSharp")
    add("--epochs", type=int, default=200)
    add("--batch-size", type=int, default=256)
    add("--learning-rate", type=float, default=1e-3)
    add("--weight-decay", type=float, default=5e-5)
    add("--augment", choices=("none", *data.AUGMENTATIONS[1:]), default="standard")
    add("--label-noise", type=float, default=0.0, help="share of training labels moved")
    add("--validation", type=float, help="share of the training data to hold out")
    add("--seed", type=int, default=0)
    add("--data-dir", help="folder of tensorflow-datasets")
    add("--output", type=pathlib.Path, help="by default runs/DATASET-MODEL-PERTURBATION-SEED")
    add("--verbose", type=int, choices=(0, 1, 2), default=1, help="as in Keras' fit")
    options = parser.parse_args(arguments)
    try:
        recipe.check(vars(options))
    except ValueError as error:
        parser.error(str(error))
    if options.augment == "none":
        options.augment = None
    run = f"{options.dataset}-{options.model}-{options.perturbation}-{options.seed}"
    options.output = options.output or pathlib.Path("runs") / run
    return options


if __name__ == "__main__":
    main()
