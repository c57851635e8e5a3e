"""Whatever is wrong in the library, the default tier notices."""

import subprocess
import sys

import pytest

from tests.faults.__main__ import named_test
from tests.faults.copies import ROOT
from tests.faults.table import FAULTS

every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)


@pytest.mark.slow
@every_fault
def test_fault_is_noticed(fault):
    assert named_test(fault)


@pytest.mark.project
@every_fault
def test_fault_can_be_put_in(fault):
    assert (ROOT / fault.file).read_text(encoding="utf-8").count(fault.old) == 1


@pytest.mark.project
def test_tests_that_notice_faults_are_in_the_default_tier():
    """Else the fault would pass the tier that is run at every change."""
    named = {fault.test for fault in FAULTS}
    files = sorted({test.partition("::")[0] for test in named})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", *files]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert named - set(told.splitlines()) == set()
