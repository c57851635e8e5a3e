import re

from examples import gradient_accumulation


def test_parts_train_as_accumulated_batches_do_and_a_whole_batch_does_not(capsys):
    gradient_accumulation.main(["--epochs", "1"])
    found = re.findall(
        r"^(.*?)  +test accuracy ([\d.]+) %, .* ([\d.e+-]+) of", capsys.readouterr().out, re.M
    )
    assert [name for name, _, _ in found] == ["accumulated", "in parts", "whole"]
    _, in_parts, whole = (float(distance) for _, _, distance in found)
    assert in_parts < 1e-4 < 1e-3 < whole
