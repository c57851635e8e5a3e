"""Whatever `compile` is given: what plain Keras takes trains, what it refuses is refused alike."""

import keras
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_zsharp import SharpnessAwareModel
from tests.training.cases import normal

OPTIONS = {
    "optimizer": ["sgd", "adamw", "lion", "no such", 3, None, keras.optimizers.SGD],
    "loss": ["mse", {"a": "mse", "b": "mae"}, ["mse", None], "no such", {"c": "mse"}, None],
    "loss_weights": [None, [1.0, 0.5], {"a": 2.0}, {"c": 1.0}, 2.0, "x"],
    "metrics": [None, ["mae"], {"a": ["mae"]}, ["no such"], "mae", 3],
    "weighted_metrics": [None, [["mae"], []], "x"],
    "run_eagerly": [True, False],
    "jit_compile": [False, "auto", "x"],
    "steps_per_execution": [1, 2, 0, "x"],
    "auto_scale_loss": [True, False],
}


def network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    outputs = [keras.layers.Dense(1, name=name)(inputs) for name in "ab"]
    return keras.Model(inputs, outputs)


def outcome(wrap, arguments):
    """The names in the logs, or the type of the error."""
    try:
        model = wrap(network())
        model.compile(**arguments)
        logs = model.fit(normal(3), [normal(1)] * 2, batch_size=12, verbose=0).history
    except Exception as error:
        return type(error)
    assert np.isfinite(list(logs.values())).all()
    return logs.keys() - {"sharpness"}


# Mostly what works, and one argument drawn from all there is.
working = {name: values[:1] for name, values in OPTIONS.items()}
arguments = st.sampled_from(list(OPTIONS)).flatmap(
    lambda name: st.fixed_dictionaries(
        {n: st.sampled_from((OPTIONS if n == name else working)[n]) for n in OPTIONS}
    )
)


@given(arguments)
@settings(suppress_health_check=list(HealthCheck))
def test_what_plain_keras_takes_trains_and_what_it_refuses_is_refused(arguments):
    plain = outcome(lambda net: net, arguments)
    ours = outcome(lambda net: SharpnessAwareModel(net, "sam"), arguments)
    assert ours == plain
