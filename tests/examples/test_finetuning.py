"""The fine-tuning of KerasHub's classifiers of images and of text."""

import re

import keras
import numpy as np
import pytest

pytest.importorskip("keras_hub")

from examples import finetune_image_classifier, finetune_text_classifier
from keras_zsharp.training import SharpnessAwareTraining

PROGRAMS = [finetune_image_classifier, finetune_text_classifier]
INPUTS = {
    finetune_image_classifier: np.random.default_rng(0).integers(0, 256, (4, 40, 30, 3), "uint8"),
    finetune_text_classifier: np.array(["Returns the sum.", "Args: x: a tensor", "", "Notes"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_writes_a_plain_classifier_whose_backbone_moved_by_adapters(
    program, tmp_path, monkeypatch, capsys
):
    tasks, make = [], program.classifier

    def spy(*arguments):
        tasks.append(make(*arguments))
        before.update({v.path: v.numpy() for v in tasks[0].backbone.variables})
        return tasks[0]

    before = {}
    monkeypatch.setattr(program, "classifier", spy)
    path = tmp_path / "task.keras"
    program.main(["--epochs", "1", "--output", str(path)])
    printed = capsys.readouterr().out
    trained, total = re.search(r"([\d,]+) of ([\d,]+) weights are trained", printed).groups()
    assert int(trained.replace(",", "")) < int(total.replace(",", "")) / 10
    assert "sharpness: " in printed
    [task] = tasks
    assert not isinstance(task, SharpnessAwareTraining)
    frozen = [v for v in task.backbone.weights if not v.trainable]
    assert len({v.path for v in frozen} & before.keys()) == len(frozen)
    for variable in frozen:
        np.testing.assert_array_equal(variable, before[variable.path])
    adapters = [v for v in task.trainable_variables if "lora" in v.path]
    assert adapters
    assert all(np.any(v) for v in adapters)
    loaded = keras.saving.load_model(path)
    assert not any("lora" in v.path for v in loaded.variables)
    np.testing.assert_allclose(
        loaded.predict(INPUTS[program], verbose=0),
        task.predict(INPUTS[program], verbose=0),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_no_epochs(program, capsys):
    with pytest.raises(SystemExit):
        program.main(["--epochs", "0"])
    assert "--epochs must be >= 1" in capsys.readouterr().err
