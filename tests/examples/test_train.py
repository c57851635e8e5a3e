import csv
import json
import resource

import keras
import pytest
import tensorflow_datasets as tfds

from examples import train
from experiments import building, files, numbers
from experiments import history as told
from keras_zsharp import rules
from tests.tiers import crossed
from tests.training.cases import assert_same

QUICK = ["--dataset", "digits", "--model", "small_cnn", "--verbose", "0"]


def history(folder):
    return list(csv.DictReader((folder / "history.csv").read_text().splitlines()))


def result(folder):
    return json.loads((folder / "result.json").read_text())


@pytest.fixture
def models(monkeypatch):
    """The models that the program builds."""
    built, build = [], building.network

    def spy(*arguments):
        network, model = build(*arguments)
        built.append(model)
        return network, model

    monkeypatch.setattr(building, "network", spy)
    return built


@pytest.mark.slow
def test_the_papers_recipe_is_the_default(models, tmp_path):
    train.main([*QUICK, "--epochs", "1", "--output", str(tmp_path)])
    config = json.loads((tmp_path / "config.json").read_text())
    assert config.items() >= {"epochs": 1, "batch_size": 256, "augment": "standard"}.items()
    assert train.parse([]).epochs == 200
    [model] = models
    assert (
        model.rule.get_config().items()
        >= {
            "rho": pytest.approx(0.05),
            "q_p": 0.95,
            "norm": "per_variable",
        }.items()
    )
    assert isinstance(model.optimizer, keras.optimizers.AdamW)
    assert model.optimizer.weight_decay == 5e-5
    rate, steps = model.optimizer._learning_rate, 5  # 1,200 digits in batches of 256
    for epoch, expected in ((0, 1e-3), (9, 1e-3), (10, 7.5e-4), (199, 1e-3 * 0.75**19)):
        assert float(rate(epoch * steps)) == pytest.approx(expected)


@pytest.mark.parametrize("name", rules.RULES)
def test_every_rule_is_on_offer(name):
    config = train.config(train.parse(["--rule", name]))
    assert type(building.rule(config)) is rules.RULES[name]


@pytest.mark.parametrize("rule", crossed(["zsharp", "none"], [], tier="slow"))
def test_trains_on_digits(rule, tmp_path, capsys):
    folder = tmp_path / "new"
    noisy = ["--label-noise", "0.2", "--validation", "0.1"]
    arguments = [*QUICK, "--epochs", "2", *noisy, "--rule", rule]
    train.main([*arguments, "--output", str(folder)])
    printed = capsys.readouterr().out
    assert "{'train': 1080, 'validation': 120, 'test': 597}" in printed
    assert "216 training labels moved; small_cnn: 66,218 parameters" in printed
    assert f"Test accuracy {100 * result(folder)['test_accuracy']:.2f} %" in printed
    rows = history(folder)
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert float(rows[1]["loss"]) < float(rows[0]["loss"])
    assert ("sharpness" in rows[0]) == (rule != "none")
    network = keras.models.load_model(folder / "model.keras")
    bundle = building.dataset(train.config(train.parse(arguments)))
    network.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    accuracy = network.evaluate(bundle.test, verbose=0, return_dict=True)["accuracy"]
    assert accuracy == pytest.approx(result(folder)["test_accuracy"], abs=1e-6)
    assert not (folder / "backup").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "model", "augment"),
    [
        ("cifar10", "resnet20", "standard"),
        ("cifar100", "resnet20", "cutout"),
        ("tiny_imagenet", "resnet20", "mixup"),
        ("cifar10", "deit_small", "standard"),
    ],
)
def test_trains_on_the_papers_datasets(dataset, model, augment, tmp_path, capsys):
    arguments = ["--dataset", dataset, "--model", model, "--augment", augment]
    short = ["--epochs", "1", "--batch-size", "4", "--verbose", "0"]
    folders = ["--data-dir", str(tmp_path / "data"), "--output", str(tmp_path / "run")]
    with tfds.testing.mock_data(num_examples=8):
        train.main([*arguments, *short, *folders])
    assert f"{dataset}: {{'train': 8, 'test': 8}}" in capsys.readouterr().out
    assert result(tmp_path / "run")["test_loss"] > 0
    assert "sharpness" in history(tmp_path / "run")[0]
    network = keras.models.load_model(tmp_path / "run" / "model.keras")
    assert (
        network.output_shape[-1] == {"cifar10": 10, "cifar100": 100, "tiny_imagenet": 200}[dataset]
    )


@pytest.mark.slow
def test_an_interrupted_run_goes_on(models, tmp_path, monkeypatch, capsys):
    def interrupt(self, batch, logs=None):
        if self.model.optimizer.iterations == 7:  # in the second epoch of five steps
            raise KeyboardInterrupt

    arguments = [*QUICK, "--epochs", "3", "--output", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(told.HistoryFile, "on_train_batch_begin", interrupt)
        with pytest.raises(SystemExit, match="Interrupted; the same command goes on"):
            train.main(arguments)
    assert not (tmp_path / "result.json").exists()
    train.main(arguments)
    assert [row["epoch"] for row in history(tmp_path)] == ["0", "1", "2"]
    assert int(models[1].optimizer.iterations) == 15
    train.main([*arguments[:-1], str(tmp_path / "straight")])
    assert_same(models[1].get_weights(), models[2].get_weights())
    capsys.readouterr()
    train.main(arguments)
    assert len(models) == 3
    accuracy = 100 * result(tmp_path)["test_accuracy"]
    assert capsys.readouterr().out == f"Test accuracy {accuracy:.2f} %; written to {tmp_path}\n"
    with pytest.raises(SystemExit, match="has a run with other settings"):
        train.main([*arguments, "--rho", "0.1"])


NUMBERS = [name for name in numbers.CHECKS if hasattr(train.parse([]), name)]


def test_every_number_is_checked_by_the_same_rule():
    given = vars(train.parse([]))
    unchecked = [name for name in given if isinstance(given[name], int | float)]
    assert {*NUMBERS, "verbose"} == {*unchecked, "validation"}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_out_of_their_bounds(name, tmp_path, capsys):
    option = "--" + name.replace("_", "-")
    for wrong in ("nan", "inf", "-inf", "-1", "1e12", "1" * 5000, "x", ""):
        with pytest.raises(SystemExit) as stopped:
            train.main([*QUICK, f"{option}={wrong}", "--output", str(tmp_path / "run")])
        assert stopped.value.code == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert f"argument {option}: `{name}` must be" in line
        assert f"Received: {name}=" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "2.5"], "argument --epochs: `epochs` must be an int. Received: epochs=2.5"),
        (["--batch-size", "0"], "`batch_size` must be an int from 1 to 1000000000. Received"),
        (["--learning-rate", "0"], "`learning_rate` must be > 0. Received: learning_rate=0"),
        (["--verbose", "3"], "argument --verbose: invalid choice: 3"),
        (["--model", "resnet21"], "invalid choice: 'resnet21'"),
        (["--dataset", "mnist"], "invalid choice: 'mnist'"),
        (["--augment", "flip"], "invalid choice: 'flip'"),
    ],
)
def test_wrong_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit):
        train.main(arguments)
    assert message in capsys.readouterr().err


def test_a_folder_is_one_processs(tmp_path):
    with (
        files.locked(tmp_path),
        pytest.raises(SystemExit, match=f"Another process works in {tmp_path}: give another"),
    ):
        train.main([*QUICK, "--output", str(tmp_path)])


@pytest.mark.slow
@pytest.mark.parametrize(("size", "name"), [(100, "config.json"), (400_000, r"backup/.*\.h5")])
def test_a_file_that_cannot_be_written_is_named(size, name, tmp_path):
    """As on a full disk; what was written of it is removed, and the run goes on given room."""
    arguments = [*QUICK, "--epochs", "1", "--output", str(tmp_path)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        with pytest.raises(SystemExit, match=rf"{tmp_path}/{name}\b.*") as stopped:
            train.main(arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "File too large" in str(stopped.value)
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]
    train.main(arguments)
    assert result(tmp_path)["epochs"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage", ["torn", "headers", "later", "missing", "columns", "gone", "backups"]
)
def test_an_interrupted_run_with_damaged_files(damage, tmp_path, monkeypatch, capsys):
    """The backup has the history, too: without a backup alone the run starts over."""

    write = told.HistoryFile.on_epoch_end

    def write_and_interrupt(self, epoch, logs=None):
        write(self, epoch, logs)
        if epoch == 2:
            raise KeyboardInterrupt

    arguments = [*QUICK, "--epochs", "3", "--batch-size", "480", "--output", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(told.HistoryFile, "on_epoch_end", write_and_interrupt)
        with pytest.raises(SystemExit, match="Interrupted"):
            train.main(arguments)
    path = tmp_path / "history.csv"
    header, first, second, third = path.read_text().splitlines(keepends=True)
    damaged = {
        "torn": [header, first, second, third[: len(third) // 2]],
        "headers": [header, first, header, second, second],
        "later": [header, first, second, third, third.replace("2,", "3,", 1)],
        "missing": [header, second, third],
        "columns": [header.replace("accuracy", "accurazy", 1), first, second],
        "gone": [],
        "backups": [header, first, second],
    }
    path.write_text("".join(damaged[damage]))
    for backup in (tmp_path / "backup").iterdir() if damage == "backups" else ():
        backup.write_bytes(b"no HDF5")
    capsys.readouterr()
    train.main(arguments)
    errors = capsys.readouterr().err
    over = damage == "backups"
    assert (f"{tmp_path / 'backup'} is damaged" in errors) == over
    assert [row["epoch"] for row in history(tmp_path)] == ["0", "1", "2"]
    assert (path.read_text().splitlines(keepends=True)[1] == first) != over  # The seconds differ.
    assert result(tmp_path)["epochs"] == 3
