import numpy as np
import pytest

pytest.importorskip("matplotlib")
from examples import forecasting


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Daily waves of three channels, of which the last one counts the hours."""
    sizes = {"TRAIN": 600, "VALIDATE": 150, "TEST": 150, "LOOK_BACK": 48, "HORIZON": 12}
    for name, size in sizes.items():
        monkeypatch.setattr(forecasting, name, size)
    hours = np.arange(1000)
    columns = [np.sin(hours * np.pi / 12), np.cos(hours * np.pi / 12), hours]
    rows = [",".join(map(str, row)) for row in zip(["2020"] * 1000, *columns, strict=True)]
    (tmp_path / "hours.csv").write_text("\n".join(["date,a,b,c", *rows]))
    return tmp_path / "hours.csv"


def test_windows_do_not_overlap_in_their_targets(file):
    counted = [part[..., -1] for pair in forecasting.windows(file) for part in pair]
    of_hour = 1 / (counted[0][0, 1] - counted[0][0, 0])
    hours = [np.rint((part - counted[0][0, 0]) * of_hour) for part in counted]
    _, train, validation_x, validation, test_x, test = hours
    assert [train.max(), validation.min(), validation.max()] == [599, 600, 749]
    assert [test.min(), test.max()] == [750, 899]
    assert [validation_x[0, 0], test_x[0, -1]] == [600 - 48, 749]


def test_prints_both_errors_and_draws(file, tmp_path, capsys):
    picture = tmp_path / "forecast.svg"
    forecasting.main([str(file), "--epochs", "8", "--picture", str(picture)])
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "MSE" in line]
    assert [line[0] for line in lines] == ["Adam:", "SAM(rho=0.5):"]
    assert all(float(line[-1]) < 1 for line in lines)  # The mean of the hours to come has 1.
    assert "<svg" in picture.read_text()
