"""Small pictures in the folders of their classes."""

import zipfile

import numpy as np
from PIL import Image

COUNTS = {"ant": 8, "bee": 4, "cat": 12}
CLASSES = tuple(COUNTS)


def paint(file, pixels, mode=None):
    """Writes an array as a picture, of another mode of Pillow if one is named."""
    picture = Image.fromarray(pixels)
    file.parent.mkdir(parents=True, exist_ok=True)
    (picture.convert(mode) if mode else picture).save(file)
    return file


def paint_classes(folder, counts, shape, seed=0):
    """`counts` random pictures of each class: `folder/CLASS/00.png`. Gives pixels by name."""
    random, painted = np.random.default_rng(seed), {}
    for name, count in counts.items():
        for number in range(count):
            file = folder / name / f"{number:02}.png"
            pixels = random.integers(0, 256, shape, "uint8")
            paint(file, pixels)
            painted[f"{folder.name}/{name}/{file.name}"] = pixels
    return painted


def zipped(folder, file, root="", junk=()):
    """A zip of what is in a folder, in a folder `root` of the zip."""
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, root + path.relative_to(folder).as_posix())
        for name in junk:
            archive.writestr(name, b"junk")
    return file


def pixels(bundle, images):
    """The pixels that normalized images come from."""
    return np.rint(images * np.array(bundle.std) + np.array(bundle.mean)).astype("uint8")


def labels_by_picture(bundle, split):
    """Labels of a split by the bytes of its pictures."""
    images, labels = bundle.arrays[split]
    return {
        image.tobytes(): int(label)
        for image, label in zip(pixels(bundle, images), labels, strict=True)
    }
