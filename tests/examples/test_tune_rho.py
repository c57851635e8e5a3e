import re

import pytest

from examples import tune_rho


@pytest.mark.slow
def test_finds_the_best_radius(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(tune_rho, "RADII", [0.1, 5.0])
    tune_rho.main(["--epochs", "3", "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    radii = re.findall(r"^rho=([\d.]+): ([\d.]+) % held out$", printed, re.M)
    assert [float(rho) for rho, _ in radii] == [0.1, 5.0]
    assert float(radii[0][1]) > float(radii[1][1])
    assert re.search(r"^Test accuracy at rho=0.1: [\d.]+ %$", printed, re.M)


def test_no_epochs(capsys):
    with pytest.raises(SystemExit):
        tune_rho.main(["--epochs", "0"])
    assert "--epochs must be >= 1" in capsys.readouterr().err
