"""Whatever is wrong in the library, the default tier notices."""

import pytest

from tests.faults.__main__ import ROOT, named_test
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
    assert (ROOT / fault.test.partition("::")[0]).exists()
