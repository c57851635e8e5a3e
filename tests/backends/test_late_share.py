"""`perturb_from` as a share of training: `fit` finds the step."""

import keras
import numpy as np
import pytest

from keras_zsharp import SAM, SharpnessAwareModel
from keras_zsharp.callbacks import Backup
from tests.backends import networks

STEPS = 4


class Plain(keras.callbacks.Callback):
    """Notes which steps are plain: their loss is that of the pass which the optimizer gets."""

    def __init__(self):
        super().__init__()
        self.perturbed = []

    def on_train_batch_end(self, batch, logs=None):
        total = float(self.model.sharpness_tracker.count.numpy())
        self.perturbed.append(int(total > (self.before if batch else 0)))
        self.before = total


def fitted(model, epochs, **arguments):
    noting = Plain()
    callbacks = [noting, *arguments.pop("callbacks", [])]
    networks.trained(model, epochs, STEPS * networks.BATCH, callbacks=callbacks, **arguments)
    return noting.perturbed


def model_of(share, optimizer=None, **options):
    model = SharpnessAwareModel(networks.network(), SAM(rho=0.1), perturb_from=share, **options)
    return networks.compiled(model, optimizer, run_eagerly=True)


@pytest.mark.parametrize(
    ("share", "epochs", "first"), [(0.5, 2, 4), (0.7, 2, 6), (0.05, 1, 1), (0.999, 1, 4)]
)
def test_the_first_step_is_that_share_of_all(share, epochs, first):
    perturbed = fitted(model_of(share), epochs)
    assert perturbed == [0] * first + [1] * (STEPS * epochs - first)


def test_of_each_fit_and_of_what_an_initial_epoch_left_out():
    model = model_of(0.5)
    assert fitted(model, 1) == [0, 0, 1, 1]
    assert fitted(model, 1) == [0, 0, 1, 1]
    cut = model_of(0.75)
    cut.optimizer.build(cut.trainable_variables)
    cut.optimizer.iterations.assign(STEPS)
    assert fitted(cut, 2, initial_epoch=1) == [0, 0, 1, 1]


def test_compiled_again_for_each_fit():
    model = networks.compiled(
        SharpnessAwareModel(networks.network(), SAM(rho=0.1), perturb_from=0.5)
    )
    both = [networks.trained(model, 2, STEPS * networks.BATCH)["sharpness"] for _ in range(2)]
    assert [[value != 0 for value in values] for values in both] == [[False, True]] * 2


def test_steps_are_those_of_the_optimizer():
    optimizer = keras.optimizers.SGD(0.05, gradient_accumulation_steps=2)
    assert fitted(model_of(0.5, optimizer), 2) == [0] * 4 + [1] * 4


def test_a_list_of_callbacks_that_keras_has_made():
    model, noting = model_of(0.5), Plain()
    listed = keras.callbacks.CallbackList(
        [noting], model=model, epochs=1, steps=STEPS, add_history=True
    )
    model.fit(*networks.data(128), batch_size=32, shuffle=False, verbose=0, callbacks=listed)
    assert noting.perturbed == [0, 0, 1, 1]


class Interrupts(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def test_an_interrupted_run_goes_on(tmp_path):
    straight, resumed = model_of(0.7), model_of(0.7)
    expected = fitted(straight, 3)
    with pytest.raises(KeyboardInterrupt):
        fitted(model_of(0.7), 3, callbacks=[Backup(tmp_path), Interrupts()])
    assert fitted(resumed, 3, callbacks=[Backup(tmp_path)]) == expected  # It remembers
    for one, other in zip(*map(weights_of, (straight, resumed)), strict=True):
        np.testing.assert_array_equal(one, other)


def weights_of(model):
    return networks.copied(model.weights)


def batches():
    x, y = networks.data(STEPS * networks.BATCH)
    while True:
        yield x[: networks.BATCH], y[: networks.BATCH]


def test_data_of_unknown_length_needs_the_number_of_steps():
    with pytest.raises(ValueError, match="pass `steps_per_epoch`"):
        model_of(0.5).fit((next(batches()) for _ in range(2)), verbose=0)
    noting = Plain()
    model_of(0.5).fit(batches(), steps_per_epoch=4, verbose=0, callbacks=[noting])
    assert noting.perturbed == [0, 0, 1, 1]


def test_outside_of_fit_a_share_is_refused():
    model, batch = model_of(0.5), networks.data(networks.BATCH)
    for _ in range(2):
        with pytest.raises(ValueError, match="`perturb_from` must be a step"):
            model.train_on_batch(*batch)
        fitted(model, 1)
    model.perturb_from = 2
    model.train_on_batch(*batch)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 1.5, float("nan"), np.float32(2), "0.5", None])
def test_numbers_out_of_bounds(share):
    with pytest.raises((TypeError, ValueError), match="`perturb_from` must be"):
        SharpnessAwareModel(networks.network(), "sam", perturb_from=share)
