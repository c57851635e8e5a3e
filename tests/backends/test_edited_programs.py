"""A backup goes on with its own program, and with no other that would train something else."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_zsharp import FriendlySAM, SharpnessAwareModel
from keras_zsharp.callbacks import Backup
from tests.backends import networks
from tests.backends.test_resuming import X, Y
from tests.callbacks import edited

PROGRAM = {
    "units": 4,
    "activation": "tanh",
    "dropout": 0.3,
    "regularizer": "l2",
    "trainable": True,
    "rule": lambda: FriendlySAM(rho=0.5),
    "options": {},
    "optimizer": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "loss": keras.losses.Huber(1.0),
    "fit": {},
}
SCHEDULE = keras.optimizers.schedules.ExponentialDecay
EDITS = {
    "rho": (
        {"rule": lambda: FriendlySAM(rho=0.4)},
        r"rule rho: 0\.5 in the backup, 0\.4 in the pr",
    ),
    "lmbda": ({"rule": lambda: FriendlySAM(rho=0.5, lmbda=0.8)}, "rule lmbda: "),
    "schedule of rho": ({"rule": lambda: FriendlySAM(SCHEDULE(0.5, 9, 0.5))}, "rule rho"),
    "rule": ({"rule": lambda: "sam"}, "rule: 'FriendlySAM' in the backup, 'SAM' in the program"),
    "perturb_every": (
        {"options": {"perturb_every": 2}},
        "perturb_every: 1 in .*, 2 in the program",
    ),
    "micro_batches": ({"options": {"micro_batches": 2}}, "micro_batches: "),
    "perturb_only": ({"options": {"perturb_only": "normalization"}}, "perturb_only: "),
    "learning rate": (
        {"optimizer": lambda: keras.optimizers.SGD(0.1, 0.9)},
        r"learning_rate: 0\.05",
    ),
    "schedule": ({"optimizer": lambda: keras.optimizers.SGD(SCHEDULE(0.05, 9, 0.5), 0.9)}, "_rate"),
    "momentum": ({"optimizer": lambda: keras.optimizers.SGD(0.05, 0.8)}, "optimizer momentum: "),
    "weight decay": (
        {"optimizer": lambda: keras.optimizers.SGD(0.05, 0.9, weight_decay=0.1)},
        "optimizer weight_decay: ",
    ),
    "optimizer": ({"optimizer": lambda: keras.optimizers.Adam(0.05)}, "optimizer: 'SGD' in"),
    "loss": ({"loss": "mae"}, "loss: 'Huber' in the backup, 'mae' in the program"),
    "arguments of a loss": ({"loss": keras.losses.Huber(2.0)}, r"loss delta: 1\.0 in .*2\.0 in"),
    "units": ({"units": 3}, "layer 1 units: 4 in the backup, 3 in the program"),
    "activation": (
        {"activation": "gelu"},
        "activation: 'tanh' in the backup, 'gelu' in the program",
    ),
    "dropout": ({"dropout": 0.4}, r"layer 2 rate: 0\.3 in the backup, 0\.4 in the program"),
    "regularizer": ({"regularizer": keras.regularizers.L2(0.1)}, "regularizer"),
    "frozen layers": ({"trainable": False}, "layer 1 trainable: True in the backup, False in"),
    "batch size": (
        {"fit": {"batch_size": 8}},
        "fit's batch_size: 12 in the backup, 8 in the program",
    ),
    "order": ({"fit": {"shuffle": False}}, "fit's shuffle: True in the backup, False in"),
    "class weights": ({"fit": {"class_weight": {0: 2.0}}}, "fit's class_weight"),
}


def program(edit):
    """The model of an edited program, and arguments of its `fit`."""
    parts = {**PROGRAM, **edit}
    keras.utils.set_random_seed(0)
    hidden = layers.Dense(
        parts["units"], activation=parts["activation"], kernel_regularizer=parts["regularizer"]
    )
    hidden.trainable = parts["trainable"]
    net = keras.Sequential(
        [keras.Input((5,)), hidden, layers.Dropout(parts["dropout"]), layers.Dense(1)]
    )
    model = SharpnessAwareModel(net, parts["rule"](), **parts["options"])
    model.compile(parts["optimizer"](), parts["loss"], run_eagerly=True, **parts.get("compile", {}))
    return model, parts["fit"]


def fit(model, folder, epochs=1, callbacks=(), **arguments):
    arguments = {"batch_size": 12, "verbose": 0, **arguments}
    backup = Backup(folder, delete_checkpoint=False)
    return model.fit(X, Y, epochs=epochs, callbacks=[*callbacks, backup], **arguments).epoch


def backed_up(folder, edit=None):
    model, arguments = program(edit or {})
    fit(model, folder, **arguments)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return backed_up(tmp_path_factory.mktemp("backup"))


@pytest.mark.parametrize(("edit", "message"), EDITS.values(), ids=EDITS)
def test_an_edited_program_is_refused(edit, message, folder):
    model, arguments = program(edit)
    before = networks.copied(model.model.weights)
    with pytest.raises(
        ValueError, match=rf"(?s)backups of this model.*another program:.*{message}"
    ):
        fit(model, folder, 2, **arguments)
    for ours, theirs in zip(networks.copied(model.model.weights), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [path.name[:5] for path in folder.iterdir()] == ["00001"]


OWN_EDITS = {
    "attribute of a loss": (
        "Times(1.0)",
        "Times(2.0)",
        r"loss attribute number: 1\.0 in .*2\.0 in the pro",
    ),
    "number in a loss": ("2.0 * keras", "3.0 * keras", r"loss code, Python .*Times\.call"),
    "number that a loss reads": ("SCALE = 1.0", "SCALE = 2.0", r"loss code, Python .*Times\.call"),
    "function that a loss calls": ("y - y_pred", "y_pred - y", r"loss code, Python .*Times\.call"),
    "call of a layer": ("inputs + self", "inputs - self", r"code, Python .*Shift\.call"),
    "argument of a layer": ("Shift(1.0)", "Shift(2.0)", r"layer 2 by: 1\.0 in .*2\.0 in the pro"),
    "step of a model": (
        "keras.Model):\n",
        "keras.Model):\n    def compute_loss(self, *args, **kwargs):\n"
        "        return 2 * super().compute_loss(*args, **kwargs)\n\n",
        r"code, .*Net\.compute_loss",
    ),
    "regularizer": ("0.01 * keras", "0.02 * keras", r"code, Python .*Small\.__call__"),
    "lambda": ("lambda x: x", "lambda x: 2 * x", "layer 1 function code, Python"),
}


def of_source(source, folder, epochs):
    """The model of a program's source, trained."""
    keras.utils.set_random_seed(0)
    names = {"__name__": "__main__"}
    exec(compile(source, "program.py", "exec"), names)
    return fit(names["model"], folder, epochs)


@pytest.mark.parametrize(("old", "new", "message"), OWN_EDITS.values(), ids=OWN_EDITS)
def test_an_edited_function_of_the_program_is_refused(old, new, message, tmp_path):
    assert edited.SOURCE.count(old) == 1
    of_source(edited.SOURCE, tmp_path, 1)
    with pytest.raises(ValueError, match=rf"(?s)another program:.*{message}"):
        of_source(edited.SOURCE.replace(old, new), tmp_path, 2)


@pytest.mark.parametrize("source", edited.SOURCES.values(), ids=edited.SOURCES)
def test_what_functions_of_the_program_read_is_compared(source, tmp_path):
    """Not the number of epochs beside it, nor the address of an object."""
    assert source.count("2.0") == 1
    of_source(source, tmp_path, 1)
    with pytest.raises(ValueError, match="another program:"):
        of_source(source.replace("2.0", "3.0"), tmp_path, 2)
    later = source.replace("'epochs': 2", "'epochs': 9").replace("epochs=2", "epochs=9")
    assert of_source(later.replace("int = 2", "int = 9"), tmp_path, 2) == [1]


def test_variables_without_weight_decay_and_dtypes_are_compared(tmp_path):
    source = edited.reading(
        optimizer="optimizer",
        code="""
optimizer = keras.optimizers.AdamW()
optimizer.exclude_from_weight_decay(var_names=["bias"])
""",
    )
    of_source(source, tmp_path, 1)
    with pytest.raises(ValueError, match="weight decay of: "):
        of_source(source.replace("bias", "kernel"), tmp_path, 2)
    with pytest.raises(ValueError, match=r"(?s)dtype: .*bfloat16"):
        of_source(source.replace("Dense(1", "Dense(1, dtype='mixed_bfloat16'"), tmp_path, 2)
    assert of_source(source, tmp_path, 2) == [1]


class Counts(keras.losses.Loss):
    def __init__(self):
        super().__init__()
        self.calls, self.seen = 0, []

    def call(self, y, y_pred):
        self.calls += 1
        self.seen.append(self.calls)
        return keras.ops.mean(keras.ops.square(y - y_pred), axis=-1)


def test_what_counts_while_it_trains_may_have_counted(tmp_path):
    """In the process of a `fit` that Ctrl-C has ended, and in another one after that."""
    edit = {"loss": Counts()}
    model, _ = program(edit)
    with pytest.raises(KeyboardInterrupt):
        fit(model, tmp_path, 2, [Interrupt()])
    with pytest.warns(UserWarning, match="continues"):
        assert fit(model, tmp_path, 2) == [1]
    model, _ = program({"loss": Counts()})
    assert fit(model, tmp_path, 3) == [2]


def test_comments_docstrings_and_places_may_change(tmp_path):
    of_source(edited.SOURCE, tmp_path, 1)
    moved = "# A comment.\n\n" + edited.SOURCE.replace("Of the program", "Of a program")
    assert of_source(moved, tmp_path, 2) == [1]


FREE = {
    "more epochs": {},
    "verbose": {"fit": {"verbose": 2}},
    "validation": {"fit": {"validation_data": (X, Y), "validation_freq": 1}},
    "metrics": {"compile": {"metrics": ["mae"]}},
    "steps at once": {"compile": {"steps_per_execution": 1, "auto_scale_loss": False}},
    "callbacks": {"fit": {"callbacks": [keras.callbacks.EarlyStopping("loss", patience=9)]}},
}


@pytest.mark.parametrize("edit", FREE.values(), ids=FREE)
def test_what_trains_the_same_may_change(edit, tmp_path):
    """Also the names of layers, which count what was made before in a process."""
    backed_up(tmp_path)
    model, arguments = program(edit)
    assert fit(model, tmp_path, 3, **arguments) == [1, 2]


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.model.optimizer.learning_rate = self.model.rule.rho = 0.01
            raise KeyboardInterrupt


def test_the_interrupted_fit_goes_on_with_what_its_callbacks_have_set(tmp_path):
    model, _ = program({})
    with pytest.raises(KeyboardInterrupt):
        fit(model, tmp_path, 2, [Interrupt()])
    with pytest.warns(UserWarning, match="(?s)continues from .* as it was there:.*learning_rate"):
        assert fit(model, tmp_path, 2) == [1]
    assert float(model.optimizer.learning_rate) == np.float32(0.05)
    assert model.rule.rho == 0.5


def test_the_interrupted_fit_refuses_what_no_file_of_weights_has(tmp_path):
    model, _ = program({})
    with pytest.raises(KeyboardInterrupt):
        fit(model, tmp_path, 2, [Interrupt()])
    model.perturb_every = 2
    with pytest.raises(ValueError, match=r"(?s)another program:.*\n- perturb_every"):
        fit(model, tmp_path, 2)
