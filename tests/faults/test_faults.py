"""Whatever is wrong in the library, a test notices it."""

import pathlib
import subprocess
import sys

import keras
import pytest

from tests.faults import of_backends
from tests.faults.__main__ import named_test
from tests.faults.copies import ROOT
from tests.faults.table import FAULTS

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
ALL = [*FAULTS, *of_backends.SHARED, *of_backends.OF_JAX, *of_backends.OF_TORCH]


def every(faults):
    return pytest.mark.parametrize("fault", faults, ids=lambda fault: fault.what)


@pytest.mark.slow
@every(FAULTS if ON_TENSORFLOW else [])
def test_fault_is_noticed(fault):
    assert named_test(fault)


@pytest.mark.slow
@every(of_backends.HERE)
def test_fault_is_noticed_on_this_backend(fault):
    assert named_test(fault)


@pytest.mark.project
def test_every_fault_can_be_put_in():
    texts = {fault.file: pathlib.Path(ROOT / fault.file).read_text("utf-8") for fault in ALL}
    lost = {fault.what: fault.old for fault in ALL if texts[fault.file].count(fault.old) != 1}
    assert not lost


@pytest.mark.project
def test_tests_that_notice_faults_are_in_the_default_tier():
    """Else the fault would pass the tier that is run at every change."""
    named = {fault.test for fault in FAULTS}
    files = sorted({test.partition("::")[0] for test in named})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", *files]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert named - set(told.splitlines()) == set()
