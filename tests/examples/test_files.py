"""What a run leaves on the disk is whole or not there, and what is damaged is named."""

import errno
import json
import re
import subprocess
import sys

import pytest

from experiments import files, folders, history

HOLD = """
import sys, pathlib
from experiments import files
with files.locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    input()
"""
HEADER = "epoch,loss,seconds,val_accuracy\n"


def read(tmp_path, text, epochs, validation=None):
    path = tmp_path / "history.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(history.read(path, epochs, validation)["loss"])


@pytest.mark.parametrize(
    "text",
    [
        HEADER + "0,3,1,0\n1,2,1,0\n",
        HEADER + "0,3,1,0\n1,2,1,0\n2,1,1,0\n",  # a later one
        (HEADER + "0,3,1,0\n1,2,1,0\n").replace("\n", "\r\n"),
    ],
)
def test_epochs_that_a_history_has(text, tmp_path):
    assert read(tmp_path, text, 2) == [3, 2]
    assert read(tmp_path, text, 0) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "its last line is torn"),
        (b"\xff\xfe\x00\n", "'utf-8' codec can't decode byte"),
        (HEADER + "0,3,1,0\n1,2,1,0", "its last line is torn"),  # 0 may have been 0.5
        (HEADER + "1,2,1,0\n2,1,1,0\n", "it must have the epochs 0 to 1"),
        (HEADER + "0,3,1,0\n1,4,1,0\n1,2,1,0\n", "it must have the epochs 0 to 1"),
        (HEADER + "0,3,1,0\n1,x,1,0\n", "could not convert string to float: 'x'"),
        (HEADER + "0,3,1,0\n" + HEADER + "1,2,1,0\n", "could not convert string to float: 'epoch'"),
        (HEADER.replace("loss", "los"), "['loss'] not in index"),
    ],
)
def test_damaged_histories(text, why, tmp_path):
    with pytest.raises(files.Damaged, match=f"history.csv is damaged .*{re.escape(why)}"):
        read(tmp_path, text, 2)


def test_a_column_of_runs_with_validation_data(tmp_path):
    with pytest.raises(files.Damaged, match=r"\['test_accuracy'\] not in index"):
        read(tmp_path, HEADER + "0,3,1,0\n", 1, validation=0.1)


def test_a_history_goes_on_after_the_rows_that_a_backup_has_put_back(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(HEADER + "0,3,1,0\n1,2,1,0\n2,1,1,0\n")
    told = history.HistoryFile(path)
    told.rows = [{"epoch": 0, "loss": 3.0, "seconds": 1.0, "val_accuracy": 0.0}]
    for epoch, loss in ((1, 0.5), (2, 0.25)):
        told.on_epoch_end(epoch, {"seconds": 1, "loss": loss, "val_accuracy": 1})
    lines = ["0,3.0,1.0,0.0", "1,0.5,1.0,1.0", "2,0.25,1.0,1.0"]
    assert path.read_text().splitlines() == [HEADER.strip(), *lines]


@pytest.mark.parametrize("text", ["", "{", "null", "{}", "[1]", "3", "[" * 100_000, b"\xff"])
def test_damaged_json(text, tmp_path):
    files.write(tmp_path / "config.json", {"versions": {}, "epochs": 1, "validation": None})
    path = tmp_path / "result.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(files.Damaged, match=r"result.json is damaged \(.+\): its run counts"):
        folders.finished(tmp_path)


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "result.json"
    files.write(path, {"epochs": 1})

    def fill():
        with files.whole(path) as partial:
            partial.write_text("half of it")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        fill()
    assert caught.value.filename == str(path)
    assert json.loads(path.read_text()) == {"epochs": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


@pytest.fixture
def owner(tmp_path):
    """A process that holds the lock of `tmp_path`."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    folder = files.__file__.rpartition("/experiments/")[0]
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], cwd=folder, **pipes)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_lock_is_one_processs_until_it_is_killed(owner, tmp_path):
    with pytest.raises(files.Occupied), files.locked(tmp_path):
        pass
    owner.kill()
    owner.wait()
    with files.locked(tmp_path):
        pass


def test_a_lock_ends_with_its_block(owner, tmp_path):
    owner.communicate("\n")
    with files.locked(tmp_path):
        pass
    with pytest.raises(KeyError), files.locked(tmp_path):
        raise KeyError
    with files.locked(tmp_path / "new" / "folder"):
        pass


def test_who_waits_for_a_lock_gets_it(owner, tmp_path):
    owner.stdin.write("\n")
    owner.stdin.close()
    with files.locked(tmp_path, wait=True):
        assert owner.wait(10) == 0
    owner.stdin = None
