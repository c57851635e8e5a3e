"""The benchmark of the step: its tables, and when it refuses to go on."""

import json

import pytest

from keras_zsharp import rules

pytestmark = pytest.mark.project
SECONDS = {"AdamW": [1.0, 2.0, 1.5], "SAM": [2.0, 3.0, 3.0], "ZSharp": [2.2, 3.0, 3.6]}
"""The medians of the ratios, round by round: SAM / AdamW 2, ZSharp / SAM 1.1."""


def measured(**changes):
    rows = {
        f"keras3 {method}": {
            "first": 10.0 * len(method),
            "weights": 2**20,
            "versions": {"Keras": "3.15.1"},
            "seconds": seconds,
            "peaks": [2**30 + 2**20 * round(10 * seconds[0])] * 3,
        }
        for method, seconds in SECONDS.items()
    }
    return {**rows, **changes}


def cells(table):
    header, _, *rows = (line[2:-2].split(" | ") for line in table.splitlines())
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_tables(step_time):
    results = {"machine": "a machine", "measured": {"resnet56 64 graph": measured()}}
    about, ours, peers = step_time.tables.all_of(results).split("\n\n")
    assert about == "Keras 3.15.1; a machine; medians of 3 rounds."
    results["measured"]["vgg16_bn 32 xla"] = {
        "keras3 SAM": {**measured()["keras3 SAM"], "seconds": [1.0]}
    }
    assert "; medians of 1 to 3 rounds." in step_time.tables.all_of(results)
    [row] = cells(ours)
    assert row["network"] == "`resnet56`"
    assert row["backend"] == "TensorFlow, graph"
    assert row["AdamW (ms)"] == "1,500"
    assert row["SAM / AdamW"] == "2.00"
    assert row["ZSharp / SAM"] == "1.10"
    assert "ASAM / SAM" not in row  # It is in no row.
    assert row["SAM compiles (s)"] == "27.0"
    assert row["ZSharp / SAM to compile"] == "2.11"
    assert row["SAM + copies"] == "10.0"
    assert row["ZSharp + copies"] == "12.0"
    [row] = cells(peers)
    assert row["SAM (ms)"] == "3,000"
    assert {*row} == {"network", "batch", "backend", "SAM (ms)"}
    slower = {**measured()["keras3 SAM"], "seconds": [4.0, 6.0, 5.0]}
    without = measured(**{"keras3_without_onednn SAM": slower})
    results = {"machine": "a machine", "measured": {"resnet56 64 graph": without}}
    [row] = cells(step_time.tables.all_of(results).split("\n\n")[2])
    assert row["without oneDNN / with"] == "2.00"


def test_what_was_measured_is_not_measured_again(step_time, tmp_path, monkeypatch, capsys):
    file, asked = tmp_path / "results.json", []

    def measure(network, mode, rounds, methods, peers):
        assert methods == step_time.METHODS
        asked.append((network, mode, rounds))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return measured()

    monkeypatch.setattr(step_time, "measure", measure)
    command = [str(file), "--networks", "resnet56", "--rounds", "3"]
    with pytest.raises(KeyboardInterrupt):
        step_time.main(command)
    step_time.main(command)
    step_time.main([*command, "--networks", "vgg16_bn", "--modes", "xla"])
    modes = "graph", "xla", "xla", "jax", "pytorch"
    assert asked[:5] == [("resnet56", mode, 3) for mode in modes]
    assert asked[5:] == [("vgg16_bn", "xla", 3)]
    assert capsys.readouterr().out.count("| `resnet56` | 64 |") == 16


def test_every_rule_is_measured(step_time):
    assert {*step_time.METHODS} == {
        "AdamW",
        step_time.tables.QUARTER,
        *(rule.__name__ for rule in rules.RULES.values()),
    }


def test_machines_are_not_mixed(step_time, tmp_path):
    file = tmp_path / "results.json"
    file.write_text(json.dumps({"machine": "another", "measured": {}}), encoding="utf-8")
    with pytest.raises(ValueError, match="must be of this machine"):
        step_time.main([str(file)])


def test_missing_library_is_left_out(step_time):
    with step_time.Row("no_such_library", "resnet56", "SAM", "graph", 4) as row:
        assert row.result["missing"] == "steps.no_such_library"


def test_networks_of_different_sizes_are_refused(step_time, monkeypatch):
    class Row:
        def __init__(self, library, *spec):
            self.result = {"weights": 4 if library == "keras3" else 8}

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(step_time, "Row", Row)
    with pytest.raises(RuntimeError, match="resnet56 differ in bytes of weights"):
        step_time.measure("resnet56", "graph", 1)
