import csv
import json

import keras
import pytest
import tensorflow_datasets as tfds

from examples import train
from experiments import parts
from keras_zsharp import perturbations
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
    built, build = [], parts.build

    def spy(*arguments):
        network, model = build(*arguments)
        built.append(model)
        return network, model

    monkeypatch.setattr(parts, "build", spy)
    return built


def test_the_papers_recipe_is_the_default(models, tmp_path):
    train.main([*QUICK, "--epochs", "1", "--output", str(tmp_path)])
    config = json.loads((tmp_path / "config.json").read_text())
    assert config.items() >= {"epochs": 1, "batch_size": 256, "augment": "standard"}.items()
    assert train.parse([]).epochs == 200
    [model] = models
    assert (
        model.perturbation.get_config().items()
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


@pytest.mark.parametrize("name", perturbations.RULES)
def test_every_rule_is_on_offer(name):
    config = train.config(train.parse(["--perturbation", name]))
    assert type(parts.perturbation(config)) is perturbations.RULES[name]


@pytest.mark.parametrize("perturbation", crossed(["zsharp", "none"], ["none"], tier="slow"))
def test_trains_on_digits(perturbation, tmp_path, capsys):
    folder = tmp_path / "new"
    noisy = ["--label-noise", "0.2", "--validation", "0.1"]
    arguments = [*QUICK, "--epochs", "2", *noisy, "--perturbation", perturbation]
    train.main([*arguments, "--output", str(folder)])
    printed = capsys.readouterr().out
    assert "{'train': 1080, 'validation': 120, 'test': 597}" in printed
    assert "216 training labels moved; small_cnn: 66,218 parameters" in printed
    assert f"Test accuracy {100 * result(folder)['test_accuracy']:.2f} %" in printed
    rows = history(folder)
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert float(rows[1]["loss"]) < float(rows[0]["loss"])
    assert ("sharpness" in rows[0]) == (perturbation != "none")
    network = keras.models.load_model(folder / "model.keras")
    bundle = parts.load(train.config(train.parse(arguments)))
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
    class Interrupt(keras.callbacks.CSVLogger):
        def on_train_batch_begin(self, batch, logs=None):
            if self.model.optimizer.iterations == 7:  # in the second epoch of five steps
                raise KeyboardInterrupt

    arguments = [*QUICK, "--epochs", "3", "--output", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(keras.callbacks, "CSVLogger", Interrupt)
        with pytest.raises(SystemExit, match="Interrupted; the same command goes on"):
            train.main(arguments)
    assert not (tmp_path / "result.json").exists()
    train.main(arguments)
    assert [row["epoch"] for row in history(tmp_path)] == ["0", "1", "2"]
    assert int(models[1].optimizer.iterations) == 15
    train.main([*arguments[:-1], str(tmp_path / "straight")])
    assert_same(models[1].get_weights(), models[2].get_weights())
    with pytest.raises(SystemExit, match="has this run, finished"):
        train.main(arguments)
    with pytest.raises(SystemExit, match="has a run with other settings"):
        train.main([*arguments, "--rho", "0.1"])


def test_errors_leave_no_run_behind(tmp_path):
    folder = tmp_path / "run"
    for wrong, message in (
        (["--rho", "-1"], "`rho` must be >= 0"),
        (["--label-noise", "2"], "`label_noise` must be in"),
        (["--model", "vit_7_8_8_384", "--perturbation", "zsharp", "--q-p", "2"], "`q_p` must be"),
    ):
        with pytest.raises(SystemExit, match=message):
            train.main([*QUICK, *wrong, "--output", str(folder)])
        assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "--epochs must be >= 1, not 0"),
        (["--model", "resnet21"], "invalid choice: 'resnet21'"),
        (["--dataset", "mnist"], "invalid choice: 'mnist'"),
        (["--augment", "flip"], "invalid choice: 'flip'"),
    ],
)
def test_wrong_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit):
        train.main(arguments)
    assert message in capsys.readouterr().err
