"""Trains one of the papers' networks on one of their datasets with the ZSharp paper's recipe.

    python examples/train.py --dataset cifar10 --model resnet56 --rule zsharp

AdamW with learning rate 1e-3, times 0.75 every 10 epochs, and weight decay 5e-5; batches of 256
for 200 epochs; rho 0.05, q_p 0.95, and ZSharp's radius per variable as in the authors' released
code, which their tables come from.

The folder of the run gets `config.json`, `history.csv`, a line per epoch, and at last `model.keras`
and `result.json`. When the same command is given again, an interrupted run goes on after its last
whole epoch, as if it had never been interrupted.
"""

import dataclasses
import pathlib

from experiments import numbers, programs, recipe, runs
from keras_zsharp import data, models, rules

MODELS = [name for name in models.__all__ if name not in ("cifar_resnet", "wide_resnet")]


def config(options):
    """The settings of the run, as `experiments.runs` takes them."""
    given = vars(options)
    rule = rules.RULES.get(options.rule)
    settings = ("rho", "q_p", "norm") if rule is rules.ZSharp else ("rho",)
    of_recipe = {field.name for field in dataclasses.fields(recipe.Recipe)} & given.keys()
    how = {name: given[name] for name in of_recipe} | {"optimizer": "adamw", "schedule": "steps"}
    return {
        "dataset": options.dataset,
        "model": options.model,
        "rule": rule and rule.__name__,
        "settings": {name: given[name] for name in settings if rule},
        "seed": options.seed,
        **vars(recipe.Recipe(**how)),
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

    def number(name, default=None, about=None):
        attribute = name.strip("-").replace("-", "_")
        add(name, type=numbers.option(attribute), default=default, help=about)

    add("--dataset", choices=data.NAMES, default="cifar10")
    add("--model", choices=MODELS, default="resnet56")
    add(
        "--rule", choices=("none", *rules.RULES), default="zsharp", help="none: the optimizer alone"
    )
    number("--rho", 0.05)
    number("--q-p", 0.95, "ZSharp's percentile")
    add("--norm", choices=("per_variable", "global"), default="per_variable", help="of ZSharp")
    number("--epochs", 200)
    number("--batch-size", 256)
    number("--learning-rate", 1e-3)
    number("--weight-decay", 5e-5)
    add("--augment", choices=("none", *data.AUGMENTATIONS[1:]), default="standard")
    number("--label-noise", 0.0, "share of training labels moved")
    number("--validation", None, "share of the training data to hold out")
    number("--seed", 0)
    add("--data-dir", help="folder of tensorflow-datasets, or of the files")
    add("--output", type=pathlib.Path, help="by default runs/DATASET-MODEL-RULE-SEED")
    add("--verbose", type=int, choices=(0, 1, 2), default=1, help="as in Keras' fit")
    options = parser.parse_args(arguments)
    if options.augment == "none":
        options.augment = None
    run = f"{options.dataset}-{options.model}-{options.rule}-{options.seed}"
    options.output = options.output or pathlib.Path("runs") / run
    return options


if __name__ == "__main__":
    main()
