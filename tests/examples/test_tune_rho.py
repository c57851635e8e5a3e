import re

import pytest

from examples import tune_rho


@pytest.mark.slow
def test_finds_the_best_radius_and_goes_on_with_what_is_there(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(tune_rho, "RADII", [0.1, 5.0])
    arguments = ["--epochs", "3", "--output", str(tmp_path)]
    tune_rho.main(arguments)
    first = capsys.readouterr().out
    radii = re.findall(r"^rho=([\d.]+): ([\d.]+) % held out$", first, re.M)
    assert [float(rho) for rho, _ in radii] == [0.1, 5.0]
    assert float(radii[0][1]) > float(radii[1][1])
    assert re.search(r"^Test accuracy at rho=0.1: [\d.]+ %$", first, re.M)
    monkeypatch.setattr(tune_rho.keras_zsharp.SharpnessAwareModel, "fit", None)
    tune_rho.main(arguments)
    assert capsys.readouterr().out.endswith(first)


def test_no_epochs(capsys):
    with pytest.raises(SystemExit):
        tune_rho.main(["--epochs", "0"])
    assert "--epochs must be >= 1" in capsys.readouterr().err
