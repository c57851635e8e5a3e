import keras
import numpy as np
import pytest

from examples import custom_loop
from keras_zsharp import SharpnessAwareModel, rules
from tests.examples.loops import RULES, batches, net
from tests.tiers import crossed


@pytest.mark.parametrize("name", crossed(RULES, ["sam", "friendly_sam", "gsam"], tier="slow"))
def test_the_step_is_the_librarys(name):
    losses, ends = [], []
    for by_hand in (True, False):
        keras.utils.set_random_seed(0)
        trained, rule, optimizer = net(), rules.get(name), keras.optimizers.AdamW(1e-2)
        if by_hand:
            step = custom_loop.make_step(trained, rule, optimizer)
            losses.append([float(step(*batch)[0]) for batch in batches()])
        else:
            model = SharpnessAwareModel(trained, rule)
            model.compile(optimizer, custom_loop.loss_of)
            losses.append([model.train_on_batch(*batch)[0] for batch in batches()])
            model.reset_metrics()
        ends.append(trained.get_weights())
    assert losses[0][0] == pytest.approx(losses[1][0])
    for mine, librarys in zip(*ends, strict=True):
        np.testing.assert_allclose(mine, librarys, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_tells_of_every_epoch(capsys):
    custom_loop.main(["--epochs", "2"])
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Epoch 1", "Epoch 2"]
    first, second = (float(line.split("loss ")[1].split(",")[0]) for line in lines)
    assert second < first


def test_another_backend_ends_in_one_sentence(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(SystemExit, match="This program is for TensorFlow"):
        custom_loop.main([])
