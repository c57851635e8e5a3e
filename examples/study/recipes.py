"""What studies share: how a run trains, and how a setting is done."""

import dataclasses
import functools
from collections.abc import Callable

import keras

from keras_zsharp import analysis, data
from keras_zsharp.comparing import Fit, compare


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a run trains: `train` of `compare`.

    Attributes:
        bundle: The data, of a seed.
        network: Builds the network, of the images' shape and the number of classes.
        optimizer: Of the steps of an epoch, the epochs, and options of the method.
        epochs: Of a run.
        wrong: Share of the held-out labels that are made wrong, as those of training are.

    A method may have, besides what `Fit` knows: `longer`, a factor of the epochs; and `component`
    of `analysis.AscentFrom`, along which the rule perturbs.
    """

    bundle: Callable[..., data.DatasetBundle]
    network: Callable[..., keras.Model]
    optimizer: Callable[..., keras.optimizers.Optimizer]
    epochs: int
    wrong: float = 0.0

    def __call__(self, rule, seed, folder=None, longer=1, component=None, **options):
        bundle, epochs = self.bundle(seed=seed), longer * self.epochs

        def build(**of_optimizer):
            model = self.network(bundle.input_shape, bundle.classes)
            if component is not None:
                images = ascent_data(bundle, component, seed)
                model = analysis.AscentFrom(model, rule, ascent_data=images, component=component)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            optimizer = self.optimizer(len(bundle.train), epochs, **of_optimizer)
            model.compile(optimizer, loss, metrics=["accuracy"])
            return model

        validation = noisy(bundle, self.wrong, seed) if self.wrong else bundle.validation
        parts = (bundle.train, validation, bundle.test)
        fit = Fit(build, *parts, lambda: [bundle.epoch_order], test_each_epoch=True, epochs=epochs)
        return fit(None if component else rule, seed, folder, **options)


def ascent_data(bundle, component, seed):
    """The training data for `AscentFrom`: for batches other than the step's, in another order."""
    batches = bundle.train.cache()  # Every reading of `bundle.train` counts as an epoch.
    if component != "batch":
        return batches
    [(images, _)] = batches.take(1)
    return batches.unbatch().shuffle(bundle.sizes["train"], seed).batch(len(images))


def noisy(bundle, rate, seed):
    """The held-out images, with labels as wrong as those of training."""
    images, labels = bundle.arrays["validation"]
    # Another seed than that of the training labels, whose moves these would repeat.
    return images, data.symmetric_label_noise(labels, rate, bundle.classes, seed + 2**20)


def did(name, train, methods, args, **options):
    """Does a setting of a study, saves and prints what it has found.

    Args:
        name: Of the setting, and of its folders.
        train: As in `compare`.
        methods: As in `compare`.
        args: With the folders of the `runs` and the `results`.
        **options: Those of `compare`.
    """
    result = compare(train, methods, folder=args.runs / name, **options)
    result.save(args.results / name)
    print(f"{name}\n{result.table().to_string()}\n", flush=True)


def main(args, settings):
    """Does the study as its command line says.

    Args:
        args: Those of `arguments.of_study`.
        settings: By the folders of their results: a recipe, methods, and arguments of `compare`.
    """
    for name, (recipe, methods, options) in settings.items():
        if not name.startswith(args.only):
            continue
        if args.data_dir:
            bundle = functools.partial(recipe.bundle, data_dir=args.data_dir)
            recipe = dataclasses.replace(recipe, bundle=bundle)
        how = {"metric": "test_accuracy", "processes": args.processes, "ray": args.ray}
        did(name, recipe, methods, args, **how, **options)
