"""A folder of pictures by class, for the tests that read some."""

import pytest

from tests.data.painted import CLASSES, COUNTS, paint_classes


@pytest.fixture
def painted(tmp_path):
    """A folder, and its pictures by name."""
    folder = tmp_path / "pictures"
    train = paint_classes(folder / "train", COUNTS, (6, 5, 3))
    test = paint_classes(folder / "test", dict.fromkeys(CLASSES, 2), (6, 5, 3), seed=1)
    (folder / "train" / ".DS_Store").write_bytes(b"junk")
    (folder / "train" / "ant" / "notes.txt").write_text("no picture")
    return folder, train, test


@pytest.fixture
def folder(painted):
    return painted[0]
