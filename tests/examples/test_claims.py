"""A run belongs to one process at a time, and to nobody once that process is dead."""

import subprocess
import sys

import pytest

from experiments import claims

HOLD = """
import sys, pathlib
from experiments import claims
with claims.claimed(pathlib.Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    input()
"""


@pytest.fixture
def owner(tmp_path):
    """A process that holds the claim to `tmp_path`."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    folder = claims.__file__.rpartition("/experiments/")[0]
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], cwd=folder, **pipes)
    assert process.stdout.readline() == "True\n"
    yield process
    process.kill()
    process.communicate()


def test_a_claim_is_one_processs_until_it_is_killed(owner, tmp_path):
    with claims.claimed(tmp_path) as mine:
        assert not mine
    owner.kill()
    owner.wait()
    with claims.claimed(tmp_path) as mine:
        assert mine


def test_a_claim_ends_with_its_block(owner, tmp_path):
    owner.communicate("\n")
    with claims.claimed(tmp_path) as mine:
        assert mine
    with pytest.raises(KeyError), claims.claimed(tmp_path):
        raise KeyError
    with claims.claimed(tmp_path / "new" / "folder") as mine:
        assert mine
