import json
import math

import keras
import numpy as np
import pytest
from scipy import stats

import keras_zsharp
from keras_zsharp.comparing import Comparison, Fit, Method, compare
from tests.comparing import problem

RADII = {"rho": (0.0, 0.2, 0.5)}
ERROR = {"metric": "test_error", "choose_by": "val_error", "progress": False}
ACCURACY = {"metric": "test_accuracy", "choose_by": "val_accuracy", "progress": False}


@pytest.fixture(autouse=True)
def calls():
    problem.CALLS.clear()
    return problem.CALLS


def test_the_table_is_that_of_student():
    methods = {"Adam": None, "SAM": Method("sam", RADII)}
    result = compare(problem.table, methods, range(5), **ERROR)
    table = result.table()
    assert list(table.index) == ["Adam", "SAM"]
    assert table["chosen"].tolist() == ["", "rho=0.2"]
    adam, sam = (
        [problem.table(rule, seed)["test_error"] for seed in range(5)]
        for rule in (None, keras_zsharp.SAM(0.2))
    )
    differences = np.subtract(sam, adam)
    low, high = stats.ttest_1samp(differences, 0).confidence_interval()
    np.testing.assert_allclose(table.loc["SAM", ["low", "high"]].tolist(), [low, high])
    np.testing.assert_allclose(table["mean"], [np.mean(adam), np.mean(sam)])
    np.testing.assert_allclose(table["std"], [np.std(adam, ddof=1), np.std(sam, ddof=1)])
    assert math.isnan(table["difference"]["Adam"])
    assert table["seconds"].tolist() == [3.0, 3.0]


def test_could_show_is_four_fifths_of_the_power():
    """So large a true difference has an interval without 0 about four times in five."""
    seeds, deviation = 5, 1.0
    wanted = deviation / math.sqrt(seeds) * sum(stats.t.ppf((0.975, 0.8), seeds - 1))
    random = np.random.default_rng(0)
    draws = random.normal(wanted, deviation, size=(20_000, seeds))
    shown = stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05
    assert 0.72 < shown.mean() < 0.82


@pytest.mark.parametrize("mode", ["min", "max"])
def test_validation_alone_chooses(mode):
    """Each value is the best of one metric: that of the held-out data counts."""

    def train(rule, seed):
        sign = 1 if mode == "min" else -1
        return {"val": sign * abs(rule.rho - 0.2), "test": sign * abs(rule.rho - 0.5)}

    methods = {"SAM": Method("sam", RADII)}
    result = compare(train, methods, metric="test", choose_by="val", mode=mode, progress=False)
    assert result.table()["chosen"].tolist() == ["rho=0.2"]


def test_the_first_seed_can_choose_for_all(calls):
    methods = {"Adam": None, "SAM": Method("sam", RADII)}
    result = compare(problem.table, methods, range(4), choosing_seeds="first", **ERROR)
    assert len(calls) == (1 + 3) + 2 * 3
    assert {rule.rho for rule, seed in calls if rule is not None and seed} == {0.2}
    assert result.table()["runs"].tolist() == [4, 4]


def test_later_seeds_do_not_choose_anew():
    """The chosen value may be worse with them than another was with the first."""

    def train(rule, seed):
        return {"val": abs(rule.rho - 0.2) + 10 * seed, "test": rule.rho}

    options = {"metric": "test", "choose_by": "val", "mode": "min", "progress": False}
    result = compare(train, {"SAM": Method("sam", RADII)}, choosing_seeds="first", **options)
    assert result.choices == {"SAM": '{"rho": 0.2}'}
    assert result.table()["runs"].tolist() == [3]


def test_a_finished_run_is_not_repeated(tmp_path, calls):
    methods = {"Adam": None, "SAM": Method("sam", RADII)}
    once = compare(problem.table, methods, range(2), folder=tmp_path, **ERROR)
    done = len(calls)
    again = compare(problem.table, methods, range(3), folder=tmp_path, **ERROR)
    assert len(calls) - done == 4
    first = again.runs[again.runs["seed"] < 2].reset_index(drop=True)
    assert first.equals(once.runs)


def test_what_was_done_before_an_interrupt_is_kept(tmp_path, calls):
    def train(rule, seed):
        if len(calls) == 3:
            raise KeyboardInterrupt
        return problem.table(rule, seed)

    with pytest.raises(KeyboardInterrupt):
        compare(train, {"Adam": None, "SAM": "sam"}, folder=tmp_path, **ERROR)
    calls.clear()
    compare(problem.table, {"Adam": None, "SAM": "sam"}, folder=tmp_path, **ERROR)
    assert len(calls) == 3


def test_a_folder_of_other_runs_is_refused(tmp_path, calls):
    compare(problem.table, {"SAM": "sam"}, folder=tmp_path, **ERROR)
    calls.clear()
    with pytest.raises(ValueError, match="other settings"):
        compare(problem.table, {"SAM": Method("sam", scale=2.0)}, folder=tmp_path, **ERROR)
    assert not calls


def test_a_failed_run_is_named_and_the_others_go_on():
    methods = {"Adam": None, "SAM": "sam"}
    with pytest.warns(UserWarning, match="sam-seed1 has failed: ValueError: the disk is full"):
        result = compare(problem.fails_at_seed_1, methods, **ERROR)
    assert result.failed == {("SAM", "{}", 1): "ValueError: the disk is full"}
    assert result.table()["runs"].tolist() == [3, 2]
    with (
        pytest.warns(UserWarning, match="has failed"),
        pytest.raises(RuntimeError, match="All runs have failed"),
    ):
        compare(problem.fails_at_seed_1, {"SAM": "sam"}, [1], **ERROR)


def test_a_choice_with_a_failed_run_is_not_the_best():
    def train(rule, seed):
        if rule.rho == 0.2 and seed == 1:
            raise ValueError
        return problem.table(rule, seed)

    with pytest.warns(UserWarning, match="rho=0.2-seed1"):
        result = compare(train, {"SAM": Method("sam", RADII)}, **ERROR)
    assert result.table()["chosen"].tolist() == ["rho=0.0"]


def test_it_is_saved_and_loaded(tmp_path):
    methods = {"SGD": None, "SAM": Method("sam", {"rho": (0.1, 0.2)})}
    result = compare(problem.FIT, methods, range(2), **ACCURACY)
    result.save(tmp_path / "new" / "folder")
    loaded = Comparison.load(tmp_path / "new" / "folder")
    assert loaded.table().equals(result.table())
    for name in ("runs", "epochs", "provenance"):
        assert getattr(loaded, name).equals(getattr(result, name))
    assert result.provenance["runs"].tolist() == [6]
    assert result.provenance["keras"].tolist() == [keras.version()]


def test_pictures_show_what_there_is():
    methods = {"SGD": None, "SAM": Method("sam", {"rho": (0.1, 0.2)})}
    result = compare(problem.FIT, methods, range(2), **ACCURACY)
    difference = result.plot().axes[0]
    assert [label.get_text() for label in difference.get_yticklabels()] == ["SAM"]
    [choices] = result.plot("choices").axes[0].containers
    np.testing.assert_array_equal(choices.lines[0].get_xdata(), [0.1, 0.2])
    curves = {line.get_label(): line for line in result.plot("epochs").axes[0].lines}
    epochs = result.epochs[result.epochs["method"] == "SGD"]
    expected = epochs.groupby("epoch")["test_accuracy"].mean()
    np.testing.assert_allclose(curves["SGD"].get_ydata(), expected)
    assert result.plot("seconds").axes[0].get_xlabel() == "seconds of a run"
    best = epochs.groupby("seed")["test_accuracy"].max().mean()
    assert result.best_epoch("SGD") == best >= result.series("SGD").mean()
    alone = compare(problem.table, {"Adam": None}, **ERROR)
    assert math.isnan(alone.best_epoch("Adam"))
    for kind in ("differences", "choices", "epochs"):
        with pytest.raises(ValueError, match=f"`{kind}` must have"):
            alone.plot(kind)


def test_more_methods_than_colors_are_told_apart():
    methods = dict.fromkeys(f"Adam {number}" for number in range(12))
    its = compare(problem.table, methods, [0], **ERROR)
    points = [container.lines[0] for container in its.plot("seconds").axes[0].containers]
    assert len({(point.get_color(), point.get_marker()) for point in points}) == 12


def test_fit_trains_as_by_hand():
    """The same weights as Keras' `fit` gives, by the metrics to the bit."""
    parts = {name: problem.PARTS[name] for name in ("train", "test")}

    def measures(model):
        return {"first weight": float(model.get_weights()[0][0, 0])}

    fit = Fit(problem.build, **parts, measures=measures, **problem.LENGTH)
    methods = {"SGD": None, "SAM": Method("sam", rho=0.2)}
    result = compare(fit, methods, [3], metric="test_accuracy", progress=False)
    x, y = problem.PARTS["train"]
    for label, rule in (("SGD", None), ("SAM", keras_zsharp.SAM(rho=0.2))):
        keras.utils.clear_session()
        keras.utils.set_random_seed(3)
        model = problem.build()
        if rule is not None:
            model = keras_zsharp.SharpnessAwareModel(model, rule)
            model.compile(
                keras.optimizers.SGD(0.05, momentum=0.9),
                "binary_crossentropy",
                metrics=["accuracy"],
            )
        model.fit(x, y, **problem.LENGTH, verbose=0)
        loss, accuracy = model.evaluate(*problem.PARTS["test"], batch_size=10, verbose=0)[:2]
        line = result.runs[result.runs["method"] == label].iloc[0]
        assert (line["test_loss"], line["test_accuracy"]) == (loss, accuracy)
        assert line["first weight"] == measures(model)["first weight"]


PASSES = {
    "SGD": (Method(), 4),
    "SAM": (Method("sam"), 8),
    "a quarter": (Method("sam", ascent_fraction=0.25), 5),
    "every second": (Method("sam", perturb_every=2), 6),
    "late": (Method("sam", perturb_from=0.5), 6),
    "LookSAM": (Method("look_sam", every=4), 5),
    "MSAM": (Method("msam"), 4),
}


def test_fit_counts_passes():
    methods = {label: method for label, (method, _) in PASSES.items()}
    table = compare(problem.FIT, methods, [0], **ACCURACY).table()
    assert table["passes"].to_dict() == {label: float(n) for label, (_, n) in PASSES.items()}


def test_options_go_where_they_belong():
    methods = {
        "SGD": Method(None, {"learning_rate": (0.0, 0.1)}),
        "longer": Method("sam", epochs=6, ascent_fraction=0.5),
    }
    result = compare(problem.FIT, methods, [0], **ACCURACY)
    still = result.epochs[result.epochs["choice"] == json.dumps({"learning_rate": 0.0})]
    assert still["test_loss"].nunique() == 1
    assert (result.epochs["method"] == "longer").sum() == 6
    assert result.table()["passes"]["longer"] == 9


def test_a_rule_of_ones_own_in_15_lines():
    methods = {
        "SGD": None,
        "Half": Method(problem.Half, {"rho": (0.2, 0.4)}, share=0.25),
        "an object": problem.Half(rho=0.4, share=0.25),
    }
    table = compare(problem.FIT, methods, range(2), **ACCURACY).table()
    assert table["runs"].tolist() == [2, 2, 2]
    if table["chosen"]["Half"] == "rho=0.4":
        assert table["mean"]["Half"] == table["mean"]["an object"]


def test_runs_do_not_depend_on_their_order():
    methods = {"SGD": None, "SAM": "sam"}
    one = compare(problem.FIT, methods, [0, 1], **ACCURACY).runs
    other = compare(problem.FIT, dict(reversed(methods.items())), [1, 0], **ACCURACY).runs
    key = ["method", "seed"]
    timed = ["seconds"]
    one, other = (each.drop(columns=timed).set_index(key).sort_index() for each in (one, other))
    assert one.equals(other)


MISTAKES = {
    "train": (3, {"SAM": "sam"}, {}, TypeError, "`train` must be a function"),
    "no methods": (problem.table, {}, {}, TypeError, "`methods` must be a dict"),
    "unknown rule": (problem.table, {"SAM": "sma"}, {}, ValueError, "`rule` must be one of"),
    "unknown option": (problem.table, {"SAM": Method("sam", rh=1)}, {}, TypeError, "rh. It takes"),
    "twice the name": (problem.table, {"SAM": "sam", "sam!": "sam"}, {}, ValueError, "differ in"),
    "seeds": (problem.table, {"SAM": "sam"}, {"seeds": [1, 1]}, ValueError, "different ints"),
    "mode": (problem.table, {"SAM": "sam"}, {"metric": "score"}, ValueError, "`mode` must be"),
    "reference": (problem.table, {"SAM": "sam"}, {"reference": "SGD"}, ValueError, "'SAM'"),
    "chosen by nothing": (
        *(problem.table, {"SAM": Method("sam", RADII)}, {"choose_by": None}),
        *(ValueError, "held-out data"),
    ),
    "chosen by the metric": (
        *(problem.table, {"SAM": Method("sam", RADII)}, {"choose_by": "test_error"}),
        *(ValueError, "held-out data"),
    ),
    "both": (
        *(problem.table, {"SAM": "sam"}, {"processes": 2, "ray": "local"}),
        *(ValueError, "`processes` must be 0"),
    ),
    "choosing seeds": (
        *(problem.table, {"SAM": "sam"}, {"choosing_seeds": "some"}),
        *(ValueError, "`choosing_seeds` must be"),
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_refused_before_anything_trains(name, calls):
    train, methods, arguments, error, match = MISTAKES[name]
    with pytest.raises(error, match=match):
        compare(train, methods, **{**ERROR, **arguments})
    assert not calls


@pytest.mark.parametrize(
    ("returned", "match"),
    [
        (3, "must return a dict"),
        ({"val_error": 1}, "without 'test_error'"),
        ({"val_error": "a", "test_error": 1}, "must return numbers"),
    ],
)
def test_what_train_returns_is_checked(returned, match):
    with pytest.raises(ValueError, match=match):
        compare(lambda rule, seed: returned, {"SAM": "sam"}, [0], **ERROR)


def test_mistakes_in_a_method_and_a_fit():
    for make, match in (
        (lambda: Method("sam", {"rho": 0.1}), "a list of values"),
        (lambda: Method("sam", {"rho": [0.1]}, rho=0.1), "must differ"),
        (lambda: Method("sam", {"rho": [0.1, -1]}), "`rho` must be >= 0"),
        (lambda: Method(None, rho=0.1), "`rule` must not be None"),
        (lambda: Fit(3, None), "`build` must be a function"),
        (lambda: Fit(problem.build, None, measures={}), "`measures` must be a function"),
        (lambda: Fit(problem.build, None, epoch=3), "no argument epoch"),
        (lambda: problem.FIT(None, 0, ascent_fraction=0.5), "with a rule"),
    ):
        with pytest.raises((TypeError, ValueError), match=match):
            make()


def test_a_method_has_schedules_and_objects():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    method = Method("sam", rho=schedule, loss=keras.losses.MeanSquaredError(), metric=np.mean)
    assert method.rule_with({}).get_config()["rho"]["class_name"] == "CosineDecay"
    settings = method.settings({})
    assert settings["options"]["metric"] == "numpy.mean"
    assert settings == json.loads(json.dumps(settings))


def test_the_callbacks_of_a_method_come_after_those_of_all():
    order = []

    class Notes(keras.callbacks.Callback):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def on_train_begin(self, logs=None):
            order.append(self.name)

    fit = Fit(problem.build, problem.PARTS["train"], callbacks=lambda: [Notes("all")])
    methods = {"SGD": Method(callbacks=lambda: [Notes("own")])}
    compare(fit, methods, [0], metric="loss", progress=False)
    assert order == ["all", "own"]
