import re

import pytest

from examples import serving


@pytest.mark.slow
def test_predicts_the_same_where_the_library_is_missing(tmp_path, capsys):
    serving.main(["--epochs", "1", "--output", str(tmp_path / "new")])
    found = re.findall(r"^(\w+): logits within ([\d.e+-]+) of", capsys.readouterr().out, re.M)
    assert [name for name, _ in found] == ["saved_model", "keras_file"]
    assert all(float(distance) < 1e-5 for _, distance in found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "--epochs must be >= 1"),
        (["--output", __file__], "--output must be a folder"),
    ],
)
def test_wrong_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit):
        serving.main(arguments)
    assert message in capsys.readouterr().err
