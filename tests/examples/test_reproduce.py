"""A grid of runs is done once, and reported on; what is wrong with it is said before."""

import shutil
import sys

import pandas as pd
import pytest

from examples import reproduce
from experiments import building, engines, files, history, plan, provenance, runs, tables
from tests.examples.tiny_grid import CONFIG, NAMES, config, finish, result


@pytest.fixture(scope="module")
def done_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    reproduce.main([config(folder, 1), "--output", str(folder / "out")])
    return folder / "out"


@pytest.fixture
def finished(done_once, tmp_path):
    """Arguments of a finished grid with an epoch for each run, and its output, a test's own."""
    folder = tmp_path / "finished"
    shutil.copytree(done_once, folder / "out")
    return [config(folder, 1), "--output", str(folder / "out")], folder / "out"


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Runs are done in this process, for the tests to reach into them."""

    def here(jobs):
        for name, job in jobs.items():
            runs.do(**job)
            yield name

    monkeypatch.setattr(engines, "here", here)


@pytest.mark.slow
def test_runs_and_report(finished):
    _, output = finished
    folders = {path.parent.name for path in output.glob("*/result.json")}
    assert folders == set(NAMES)
    first = result(output / NAMES[0])
    assert {"test_accuracy", "best_test_accuracy", "validation_accuracy"} < first.keys()
    assert (first["seed"], first["epochs"]) == (0, 1)
    assert first["versions"]["keras-zsharp"]
    assert first["test_loss"] != result(output / NAMES[2])["test_loss"]
    for name in NAMES:
        [row] = history.read(output / name / "history.csv", 1, 0.2).to_dict("records")
        assert row["test_accuracy"] == result(output / name)["best_test_accuracy"]
        assert not (output / name / "backup").exists()
    text = (output / "report.md").read_text(encoding="utf-8")
    assert "| F-SAM |" in text
    assert "2 of 2" in text


@pytest.mark.slow
def test_nothing_is_repeated(finished, monkeypatch, capsys):
    arguments, output = finished
    monkeypatch.setattr(runs, "do", None)
    (output / "report.html").unlink()
    reproduce.main(arguments)
    assert "4 runs, 4 finished, 0 left of 0 epochs" in capsys.readouterr().out
    assert (output / "report.html").exists()
    reproduce.main([*arguments, "--report-only"])
    shutil.rmtree(output / NAMES[0])
    reproduce.main([*arguments, "--dry-run"])
    printed = capsys.readouterr().out
    seconds = round(sum(result(output / name)["duration"] for name in NAMES[1:]) / 3)
    assert f"1 left of 1 epochs; expected time: about 0:00:{seconds:02}, one" in printed
    (output / "report.html").unlink()
    reproduce.main([*arguments, "--report-only"])
    assert "Incomplete: 1 of 4" in (output / "report.html").read_text(encoding="utf-8")


def test_the_plan_of_what_was_never_run(tmp_path, capsys):
    arguments = [config(tmp_path, 3), "--output", str(tmp_path / "out"), "--dry-run"]
    reproduce.main(arguments)
    assert "4 runs, 0 finished, 4 left of 12 epochs; expected time: unknown" in (
        capsys.readouterr().out
    )
    reproduce.main([*arguments, "--only", "f-sam-seed1"])
    assert "1 runs, 0 finished, 1 left of 3 epochs" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


DAMAGES = [
    ("result.json", ""),
    ("result.json", "{}"),
    ("result.json", "null"),
    ("result.json", '{"test_accuracy": '),
    ("result.json", "\ufeff[1, 2]"),
    ("result.json", lambda text: text.replace('"epochs": 1', '"epochs": "one"')),
    (
        "result.json",
        lambda text: text.replace('"test_accuracy": 0', '"test_accuracy": null, "": 0'),
    ),
    ("config.json", "{}"),
    ("config.json", "{"),
    ("config.json", "null"),
    ("history.csv", ""),
    ("history.csv", "\0\0\0"),
    ("history.csv", lambda text: text[: len(text) // 2]),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_damaged_files_are_named_and_stop_no_plan_or_report(name, damage, tmp_path, capsys):
    arguments = [config(tmp_path, 1), "--output", str(tmp_path / "out")]
    for run in plan.read(arguments[0]).runs:
        folder = tmp_path / "out" / run.name
        finish(folder, run.config)
    path = tmp_path / "out" / NAMES[1] / name
    path.write_text(damage if isinstance(damage, str) else damage(path.read_text()))
    for how in ("--dry-run", "--report-only"):
        files.say.cache_clear()
        reproduce.main([*arguments, how])
        printed, errors = capsys.readouterr()
        assert "4 runs, 3 finished, 1 left of 1 epochs" in printed
        [line] = errors.splitlines()
        assert line.startswith(f"{path} is damaged (")
        assert line.endswith("): its run counts as not done")
    assert "| F-SAM |" in (text := (tmp_path / "out" / "report.md").read_text(encoding="utf-8"))
    assert "1 of 2" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "folder"),
    [("result.json", False), ("config.json", True), ("history.csv", False)],
)
def test_damaged_runs_are_done_again(name, folder, finished, tmp_path, capfd):
    arguments, output = finished
    shutil.copytree(output, tmp_path / "out")
    path = tmp_path / "out" / NAMES[0] / name
    path.unlink()
    path.mkdir() if folder else path.write_text("{")
    reproduce.main([arguments[0], "--output", str(tmp_path / "out")])
    printed, errors = capfd.readouterr()
    assert "4 runs, 3 finished, 1 left" in printed
    assert f"{NAMES[0]}: " in printed
    assert errors.count(f"{path} is damaged") == 1
    again, before = result(path.parent), result(output / NAMES[0])
    assert again["test_accuracy"] == before["test_accuracy"]
    assert path.read_text() != "{"


@pytest.mark.slow
def test_a_damaged_history_of_an_interrupted_run(finished, tmp_path, monkeypatch):
    """The backup has its epochs, too."""
    path, output = config(tmp_path, 2), tmp_path / "out"

    def interrupt(self, epoch, logs=None):
        if epoch:
            raise KeyboardInterrupt

    arguments = [path, "--output", str(output), "--only", "sgd-seed0"]
    with monkeypatch.context() as patch:
        patch.setattr(history.HistoryFile, "on_epoch_begin", interrupt)
        with pytest.raises(SystemExit, match="Interrupted"):
            reproduce.main(arguments)
    (output / NAMES[0] / "history.csv").write_text("epoch,loss\n")
    reproduce.main(arguments)
    assert result(output / NAMES[0])["epochs"] == 2


@pytest.mark.slow
def test_another_grid_in_the_same_folder(finished, tmp_path):
    _, output = finished
    with pytest.raises(SystemExit, match="has a run with other settings"):
        reproduce.main([config(tmp_path, 2), "--output", str(output)])


@pytest.fixture
def others(tmp_path, monkeypatch):
    """Arguments of a grid that shares two of four runs with `finished`; none is done."""
    path = tmp_path / "other.py"
    other = CONFIG.format(epochs=1).replace('Setting("Digits"', 'Setting("Others"')
    path.write_text(other.replace('{"rho": 0.2}', '{"rho": 0.3}'))
    monkeypatch.setattr(engines, "here", lambda _: sys.exit("to be done"))
    return [str(path), "--output", str(tmp_path / "out")]


@pytest.mark.slow
def test_what_another_grid_has_finished_is_taken_over(finished, others, tmp_path, capsys):
    """From its tables alone."""
    _, output = finished
    only_tables = tmp_path / "tables"
    only_tables.mkdir()
    for name in (tables.RESULTS, tables.EPOCHS):
        shutil.copy(output / name, only_tables)
    (tmp_path / "out" / "others-sgd-seed0" / "backup").mkdir(parents=True)
    with pytest.raises(SystemExit, match=r"has no whole results.csv and epochs.csv"):
        reproduce.main([*others, "--reuse", str(tmp_path / "nowhere")])
    for times in (2, 0):
        with pytest.raises(SystemExit, match="to be done"):
            reproduce.main([*others, "--reuse", str(only_tables)])
        assert f"Taken over: {times} runs\n" in capsys.readouterr().out
    grid = plan.Plan(plan.read(others[0]), tmp_path / "out")
    assert [run.name for run in grid.left()] == ["others-f-sam-seed0", "others-f-sam-seed1"]
    for seed in (0, 1):
        ours = tmp_path / "out" / f"others-sgd-seed{seed}"
        theirs = output / f"digits-sgd-seed{seed}"
        for name in tables.SOURCES:
            assert result(ours)[name] == result(theirs)[name]
        for name in tables.NUMBERS:
            assert result(ours)[name] == pytest.approx(result(theirs)[name])
        [row], [its] = (pd.read_csv(f / "history.csv").to_dict("records") for f in (ours, theirs))
        assert {name: row[name] for name in its} == pytest.approx(its)
        assert not (ours / "backup").exists()


@pytest.mark.slow
def test_the_runs_of_another_output_count_and_not_its_older_tables(
    finished, others, tmp_path, capsys
):
    """Tables written with `--only` have fewer runs than the output."""
    arguments, output = finished
    shutil.copytree(output, tmp_path / "other")
    reproduce.main(
        [arguments[0], "--output", str(tmp_path / "other"), "--report-only", "--only", "sgd-seed0"]
    )
    assert len(pd.read_csv(tmp_path / "other" / tables.RESULTS)) == 1
    (tmp_path / "other" / NAMES[1] / "history.csv").write_text("")
    with pytest.raises(SystemExit, match="to be done"):
        reproduce.main([*others, "--reuse", str(tmp_path / "other")])
    printed, errors = capsys.readouterr()
    assert "Taken over: 2 runs\n" in printed
    assert f"{NAMES[1]}/history.csv is damaged (" in errors
    ours = result(tmp_path / "out" / "others-sgd-seed1")
    assert ours == result(output / "digits-sgd-seed1")


@pytest.mark.slow
def test_runs_of_other_versions_count_when_asked(finished, others, tmp_path, monkeypatch, capsys):
    arguments, output = finished
    with monkeypatch.context() as patch:
        now = {**provenance.versions(), "commit": "0" * 40}
        patch.setattr(provenance, "versions", lambda: now)
        with pytest.raises(SystemExit, match=f"has 4 finished runs of other .* {NAMES[0]}: count"):
            reproduce.main(arguments)
        reproduce.main([*arguments, "--report-only"])
        reproduce.main([*arguments, "--reuse-from-other-versions"])
        with pytest.raises(SystemExit, match="to be done"):
            reproduce.main([*others, "--reuse", str(output)])
        assert "Taken over: 0 runs" in capsys.readouterr().out
        with pytest.raises(SystemExit, match="to be done"):
            reproduce.main([*others, "--reuse", str(output), "--reuse-from-other-versions"])
        assert "Taken over: 2 runs" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="to be done"):
        reproduce.main(others)


@pytest.mark.slow
def test_a_run_that_another_version_has_begun_is_not_gone_on_with(tmp_path):
    arguments = [config(tmp_path, 1), "--output", str(tmp_path / "out"), "--only", "sgd-seed0"]
    [run] = (run for run in plan.read(arguments[0]).runs if run.name == NAMES[0])
    path = tmp_path / "out" / NAMES[0] / "config.json"
    path.parent.mkdir(parents=True)
    begun = {**run.config, "versions": {**provenance.versions(), "keras": "3.0"}}
    files.write(path, begun)
    with pytest.raises(
        SystemExit, match=r"seed0 has a run that another version has begun \(keras\)"
    ):
        reproduce.main(arguments)


def test_an_output_is_one_processs(tmp_path):
    output = tmp_path / "out"
    with (
        files.locked(output),
        pytest.raises(SystemExit, match=f"Another process works in {output}: give another"),
    ):
        reproduce.main([config(tmp_path, 1), "--output", str(output)])


def test_interrupted(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "train", interrupted)
    arguments = [config(tmp_path, 1), "--output", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match="Interrupted; the same command goes on from"):
        reproduce.main(arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("GRID = 1 / 0", r"wrong\.py is broken: ZeroDivisionError: division by zero"),
        ("GRID = (", r"wrong\.py is broken: SyntaxError"),
        ("", r"wrong\.py must set GRID to a Grid. Received: GRID=None"),
        ('reference="SGD"', "`reference` must be one of SGD, F-SAM. Received: 'SAM'"),
        ('"small_cnn"', "`network` must be one of cifar_resnet, .* Received: 'big_cnn'"),
        ('"digits"', "`dataset` must be one of digits, .* Received: 'mnist'"),
        ('Method("SGD")', r"`methods` must have different labels. Received: \['F-SAM', 'F-SAM'\]"),
        ("0.2, 0)", "`choose` needs a `validation` part"),
        ('"FriendlySAM"', "CONFIG asks for what this version of keras_zsharp cannot do"),
        ("seeds=(0, 1)", "`paper` must be one of .* Received: \\('A', 'SAM'\\)"),
    ],
)
def test_wrong_configs(text, message, tmp_path, capsys):
    changes = {
        'reference="SGD"': 'reference="SAM"',
        '"small_cnn"': '"big_cnn"',
        '"digits"': '"mnist"',
        'Method("SGD")': 'Method("F-SAM")',
        "0.2, 0)": "None, 0)",
        '"FriendlySAM"': '"UnfriendlySAM"',
        "seeds=(0, 1)": 'paper={("A", "SAM"): (1, 2)}',
    }
    path = tmp_path / "wrong.py"
    if text in changes:
        whole = CONFIG.format(epochs=1)
        assert text in whole
        text = whole.replace(text, changes[text])
        text = text.replace('{"rho": 0.2}', '{}, {"rho": (0.1, 0.2)}')
    path.write_text(text)
    with pytest.raises(SystemExit, match=message):
        reproduce.main([str(path), "--output", str(tmp_path / "out")])
    if "cannot do" in message:
        assert "Cannot be run: F-SAM: keras_zsharp has no rule Unfr" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["zsharp_tabel1"], "CONFIG must be .* not 'zsharp_tabel1'; did you mean zsharp_table1?"),
        (["?"], "there are digits_controls, "),
        (["zsharp_table1", "--only", "mnist"], "--only must be part of a run's name, as 'cifar-10"),
    ],
)
def test_wrong_arguments(arguments, message, tmp_path):
    with pytest.raises(SystemExit, match=message):
        reproduce.main([*arguments, "--output", str(tmp_path)])


def test_a_setting_has_its_own_arguments():
    name = "cifar-100-vgg16-bn-f-sam-seed0"
    [run] = (run for run in plan.read("fsam_tables_1_2").runs if run.name == name)
    config = building.rule(run.config).get_config()
    assert config["lmbda"] == 0.6
    assert config["rho"] == pytest.approx(0.2)
