"""`perturb_from` as a share of training: `fit` finds the step."""

import keras
import numpy as np
import pytest

from keras_zsharp import SAM, SharpnessAwareModel, sharpness_aware
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


def test_a_list_of_callbacks_that_keras_has_made_is_refused():
    model = model_of(0.5)
    listed = keras.callbacks.CallbackList([], model=model, epochs=1, steps=STEPS)
    with pytest.raises(TypeError, match="`callbacks` must be a list of callbacks"):
        model.fit(*networks.data(128), batch_size=32, verbose=0, callbacks=listed)
    assert not model.__dict__["_cuts_arrays"]


class OwnFit(keras.Sequential):
    """Its arguments have other places than Keras', and it fits a second time."""

    def fit(self, x=None, y=None, epochs=1, **kwargs):
        return super().fit(x, y, epochs=epochs, **kwargs)


def test_a_fit_of_ones_own():
    model = sharpness_aware(OwnFit(networks.network().layers), SAM(rho=0.1), perturb_from=0.5)
    networks.compiled(model, run_eagerly=True)
    assert fitted(model, 2) == [0] * 4 + [1] * 4
    noting = Plain()
    x, y = networks.data(STEPS * networks.BATCH)
    keras.Model.fit(plain := networks.compiled(networks.network()), x, y, 32, 1, 0, [])
    assert plain.history.epoch == [0]
    wrapped = model_of(0.5)
    wrapped.fit(x, y, networks.BATCH, 1, 0, [noting])
    assert noting.perturbed == [0, 0, 1, 1]


class Sets(keras.callbacks.Callback):
    """Another share, from the first epoch on."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.perturb_from = 0.75


def test_a_share_that_a_callback_sets():
    assert fitted(model_of(0.25), 2, callbacks=[Sets()]) == [0] * 6 + [1] * 2


class Again(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if not epoch:
            self.inner = fitted(self.model, 1)


def test_a_fit_within_a_fit():
    again = Again()
    assert fitted(model_of(0.5), 2, callbacks=[again]) == [0] * 4 + [1] * 4
    assert again.inner == [0, 0, 1, 1]


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


@pytest.mark.parametrize("way", ["ours", "keras"])
def test_the_same_model_goes_on(way, tmp_path):
    """As in a notebook whose cell is run again."""
    backup = {
        "ours": lambda: Backup(tmp_path),
        "keras": lambda: keras.callbacks.BackupAndRestore(tmp_path),
    }[way]
    model = model_of(0.5)
    with pytest.raises(KeyboardInterrupt):
        fitted(model, 4, callbacks=[backup(), Interrupts()])
    noting = Plain()
    history = networks.trained(model, 4, STEPS * networks.BATCH, callbacks=[backup(), noting])
    assert all(history["sharpness"][-2:])


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
