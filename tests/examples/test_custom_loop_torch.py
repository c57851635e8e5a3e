import keras
import numpy as np
import pytest

from keras_zsharp import SharpnessAwareModel, rules
from tests.examples.loops import RULES, net
from tests.tiers import crossed

if keras.backend.backend() != "torch":
    pytest.skip("A loop on PyTorch", allow_module_level=True)

import torch
from torch.utils.data import DataLoader, TensorDataset

from examples import custom_loop_torch


def loader():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(36, 4)).astype("float32"), rng.integers(0, 3, 36)
    dataset = TensorDataset(torch.tensor(x), torch.tensor(y))
    # Keras looks at a first batch before it trains: a generator would have moved on.
    return DataLoader(dataset, 8, sampler=rng.permutation(36).tolist())


def by_hand(rule, bfloat16=False):
    keras.utils.set_random_seed(0)
    trained, optimizer = net(), keras.optimizers.AdamW(1e-2)
    step = custom_loop_torch.make_step(trained, rule, optimizer, bfloat16)
    batches = loader()
    losses = [step(*batch) for _ in range(2) for batch in batches]
    return trained, losses


@pytest.mark.parametrize("name", crossed(RULES, ["sam", "friendly_sam", "gsam"], tier="slow"))
def test_trains_to_the_weights_of_fit(name):
    trained, _ = by_hand(rules.get(name))
    keras.utils.set_random_seed(0)
    librarys = net()
    model = SharpnessAwareModel(librarys, rules.get(name))
    model.compile(keras.optimizers.AdamW(1e-2), custom_loop_torch.loss_of)
    model.fit(loader(), epochs=2, verbose=0)
    for mine, theirs in zip(trained.get_weights(), librarys.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_autocast_computes_the_passes_in_bfloat16_and_keeps_the_weights_in_float32():
    exact, _ = by_hand(rules.get("sam"))
    trained, losses = by_hand(rules.get("sam"), bfloat16=True)
    assert all(np.isfinite(losses).ravel())
    assert all(v.value.dtype == torch.float32 for v in trained.trainable_variables)
    pairs = list(zip(trained.get_weights(), exact.get_weights(), strict=True))
    assert any((mine != theirs).any() for mine, theirs in pairs)
    for mine, theirs in pairs:
        np.testing.assert_allclose(mine, theirs, atol=0.05)


def test_another_backend_ends_in_one_sentence(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(SystemExit, match="set KERAS_BACKEND=torch"):
        custom_loop_torch.main([])
