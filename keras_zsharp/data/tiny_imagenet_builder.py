"""Tiny-ImageNet as a tensorflow-datasets builder. The import of this module registers it."""

from __future__ import annotations

import functools
import io
import re
import zipfile

import tensorflow_datasets as tfds

from keras_zsharp.data.damaged import DamagedPicture

ARCHIVE = "tiny-imagenet-200.zip"
URL = f"http://cs231n.stanford.edu/{ARCHIVE}"
_FOLDER = "tiny-imagenet-200"


class TinyImagenet(tfds.core.GeneratorBasedBuilder):
    """200 classes of ImageNet at 64 x 64 pixels: 100,000 images to train on, 10,000 to validate.

    Classes are numbered in the order of their WordNet ids. The 10,000 test images of the archive
    have no public labels and are left out.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The archive of Stanford's CS231n."}  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"{ARCHIVE} is downloaded from {URL} if it is not in the folder for manual downloads."
    )

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description=type(self).__doc__,
            homepage="http://cs231n.stanford.edu/",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(64, 64, 3), encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(num_classes=200),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        path = _archive_path(dl_manager)
        try:
            with path.open("rb") as file, zipfile.ZipFile(file) as archive:
                ids = archive.read(f"{_FOLDER}/wnids.txt").decode().split()
                annotations = archive.read(f"{_FOLDER}/val/val_annotations.txt").decode()
        except (zipfile.BadZipFile, KeyError) as error:
            raise ValueError(
                f"{path} is not the whole archive of Tiny-ImageNet ({error}): delete it, and "
                "download it again"
            ) from error
        self.info.features["label"].names = sorted(ids)
        labels = dict(line.split("\t")[:2] for line in annotations.splitlines())
        return {
            "train": self._generate_examples(path, _of_training),
            "validation": self._generate_examples(path, functools.partial(_of_validation, labels)),
        }

    def _generate_examples(self, path, label_of):
        """Yields the images of the archive. `label_of(name)` is None for what is none of them."""
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                label = label_of(name)
                if label is not None:
                    image = _picture(path, archive, name)
                    yield name.split("/")[-1], {"image": image, "label": label}


def _picture(path, archive, name):
    """A picture of the archive as a file whose `name` tells picture and archive."""
    try:
        image = io.BytesIO(archive.read(name))
    except Exception as error:  # Damaged bytes may raise anything in zipfile.
        raise DamagedPicture(f"{name} of {path}", error) from error
    image.name = f"{name} of {path}"
    return image


def _archive_path(dl_manager):
    try:
        manual = dl_manager.manual_dir / ARCHIVE
    except AssertionError:  # There is no such folder.
        manual = None
    if manual is not None and manual.exists():
        return manual
    return dl_manager.download(URL)


def _of_training(name):
    match = re.fullmatch(rf"{_FOLDER}/train/(\w+)/images/.+\.JPEG", name)
    return match and match[1]


def _of_validation(labels, name):
    match = re.fullmatch(rf"{_FOLDER}/val/images/(.+\.JPEG)", name)
    return match and labels[match[1]]
