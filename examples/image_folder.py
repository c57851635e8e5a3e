"""Pictures from a folder, with and without SAM, where some lie in a wrong class' folder.

    KERAS_BACKEND=jax python examples/image_folder.py
    KERAS_BACKEND=jax python examples/image_folder.py my_pictures --size 64

Takes 1 minute of a CPU core on JAX, 3 on PyTorch. `my_pictures` has the folders `train` and `test`,
and each of these a folder of pictures for each class. Without it, the program writes the package's
digits into a temporary folder, 40 % of those to train by into a wrong one. Prints the test
accuracy, without and with SAM: on JAX 59.6 and 90.9 %, means of three seeds.
`image_dataset_from_directory` of Keras needs TensorFlow or Grain. `Pictures` needs Pillow alone.
"""

import argparse
import os
import pathlib
import tempfile


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, help="with train/ and test/")
    parser.add_argument("--size", type=int, default=8, help="height and width in pixels")
    parser.add_argument("--rho", type=float, default=0.2, help="radius of SAM")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras.utils import load_img, save_img

import keras_zsharp

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif"}


class Pictures(keras.utils.PyDataset):
    """Batches of the pictures in the folders of a folder, whose names are the classes."""

    def __init__(self, folder, size, batch_size=64, **kwargs):
        super().__init__(**kwargs)
        self.size, self.batch_size = size, batch_size
        self.classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
        files = (path for path in folder.glob("*/*") if path.suffix.lower() in ENDINGS)
        self.files = np.random.default_rng(0).permutation(sorted(files))

    def __len__(self):
        return -(-len(self.files) // self.batch_size)

    def __getitem__(self, index):
        files = self.files[index * self.batch_size : (index + 1) * self.batch_size]
        images = [np.array(load_img(file, target_size=(self.size, self.size))) for file in files]
        labels = [self.classes.index(file.parent.name) for file in files]
        return np.stack(images).astype("float32") / 255 - 0.5, np.array(labels)


def write_digits(folder, seed):
    digits = keras_zsharp.data.digits(label_noise=0.4, seed=seed)
    for split, (images, labels) in digits.arrays.items():
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = folder / split / str(label) / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            save_img(path, 255 * (image + 0.5), scale=False)


def accuracy(train, test, args, rho):
    """Test accuracy in percent, with SAM of a radius or without."""
    keras.utils.set_random_seed(args.seed)
    model = keras_zsharp.models.small_cnn((args.size, args.size, 3), len(train.classes))
    if rho:
        model = keras_zsharp.SharpnessAwareModel(model, keras_zsharp.SAM(rho=rho))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(1e-3), loss, metrics=["accuracy"])
    model.fit(train, epochs=args.epochs)
    return 100 * model.evaluate(test, verbose=0, return_dict=True)["accuracy"]


def main(arguments=None):
    args = parse(arguments)
    print("Trains a CNN twice, without and with SAM: 1 to 3 minutes of a CPU core.", flush=True)
    with tempfile.TemporaryDirectory() as made:
        folder = args.folder or pathlib.Path(made)
        if args.folder is None:
            write_digits(folder, args.seed)
        train, test = (Pictures(folder / split, args.size) for split in ("train", "test"))
        radii = {"AdamW": 0, f"SAM(rho={args.rho})": args.rho}
        found = {name: accuracy(train, test, args, rho) for name, rho in radii.items()}
        for name, percent in found.items():
            print(f"{name}: test accuracy {percent:.1f} %")


if __name__ == "__main__":
    main()
