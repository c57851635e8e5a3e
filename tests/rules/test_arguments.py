"""What rules are made with, and what is set later, is checked in words."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_zsharp import (
    ASAM,
    GSAM,
    SAM,
    AdaptiveFriendlySAM,
    FisherSAM,
    FriendlySAM,
    ZSharp,
    rules,
)

BAD = {
    "rho_negative": (lambda: SAM(rho=-1.0), ValueError, "`rho` must be >= 0. Received: rho=-1.0"),
    "rho_nan": (lambda: SAM(rho=np.nan), ValueError, "`rho` must be >= 0. Received: rho=nan"),
    "rho_inf": (lambda: SAM(rho=np.inf), ValueError, "`rho` must be finite. Received: rho=inf"),
    "rho_str": (
        lambda: SAM(rho="big"),
        TypeError,
        "`rho` must be a number. Received: rho='big' of type <class 'str'>",
    ),
    "q_p_low": (
        lambda: ZSharp(q_p=-0.1),
        ValueError,
        "`q_p` must be in [0, 1]. Received: q_p=-0.1",
    ),
    "q_p_high": (lambda: ZSharp(q_p=95), ValueError, "`q_p` must be in [0, 1]. Received: q_p=95.0"),
    "q_p_nan": (
        lambda: ZSharp(q_p=np.nan),
        ValueError,
        "`q_p` must be in [0, 1]. Received: q_p=nan",
    ),
    "norm": (
        lambda: ZSharp(norm="local"),
        ValueError,
        "`norm` must be 'global' or 'per_variable'. Received: norm='local'. Did you mean 'global'?",
    ),
    "score": (
        lambda: ZSharp(score="size"),
        ValueError,
        "`score` must be 'zscore', 'magnitude' or 'random'. Received: score='size'",
    ),
    "percentile_scope": (
        lambda: ZSharp(percentile_scope=None),
        TypeError,
        "`percentile_scope` must be a string. Received: percentile_scope=None of type "
        "<class 'NoneType'>",
    ),
    "eta_of_fisher": (
        lambda: FisherSAM(eta=-1),
        ValueError,
        "`eta` must be >= 0. Received: eta=-1.0",
    ),
    "alpha": (lambda: GSAM(alpha=-1), ValueError, "`alpha` must be >= 0. Received: alpha=-1.0"),
    "min_rank": (
        lambda: ZSharp(min_rank=1.5),
        TypeError,
        "`min_rank` must be an int. Received: min_rank=1.5 of type <class 'float'>",
    ),
    "min_rank_negative": (
        lambda: ZSharp(min_rank=-1),
        ValueError,
        "`min_rank` must be an int >= 0. Received: min_rank=-1",
    ),
    "rho_of_two": (
        lambda: SAM(rho=np.ones(2)),
        TypeError,
        "`rho` must be a number. Received: rho=array([1., 1.]) of type <class 'numpy.ndarray'>",
    ),
    "eta": (lambda: ASAM(eta=0), ValueError, "`eta` must be > 0. Received: eta=0.0"),
    "eta_of_both": (
        lambda: AdaptiveFriendlySAM(eta=-1),
        ValueError,
        "`eta` must be > 0. Received: eta=-1.0",
    ),
    "lmbda": (
        lambda: FriendlySAM(lmbda=1.0),
        ValueError,
        "`lmbda` must be in [0, 1). Received: lmbda=1.0",
    ),
    "lmbda_low": (
        lambda: FriendlySAM(lmbda=-0.1),
        ValueError,
        "`lmbda` must be in [0, 1). Received: lmbda=-0.1",
    ),
    "sigma": (
        lambda: FriendlySAM(sigma=np.nan),
        ValueError,
        "`sigma` must be finite. Received: sigma=nan",
    ),
    "unknown": (
        lambda: rules.get("s_sam"),
        ValueError,
        f"`rule` must be one of {', '.join(map(repr, rules.RULES))}. Received: rule='s_sam'. "
        "Did you mean 'ssam'?",
    ),
    "no_name": (
        lambda: rules.get("flat"),
        ValueError,
        f"`rule` must be one of {', '.join(map(repr, rules.RULES))}. Received: rule='flat'",
    ),
    "misspelt_argument": (
        lambda: ZSharp(percentile=0.9),
        TypeError,
        "`ZSharp` must get arguments that it has: rho, q_p, norm, min_rank, score, "
        "percentile_scope, name. Received: percentile. Did you mean 'percentile_scope'?",
    ),
    "unknown_argument": (
        lambda: SAM(momentum=0.9),
        TypeError,
        "`SAM` must get arguments that it has: rho, name. Received: momentum",
    ),
    "class": (
        lambda: rules.get(SAM),
        TypeError,
        "`rule` must be a `Rule`, such as `SAM(rho=0.05)`, or a rule's name: 'sam' to begin with, "
        "'zsharp' for the method of the paper. "
        "Received: rule=<class 'keras_zsharp.rules.sam.SAM'>",
    ),
    "lengths": (
        lambda: SAM()([np.ones(2)], []),
        ValueError,
        "`gradients` and `variables` must have the same length. "
        "Received: 1 gradients and 0 variables",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), BAD.values(), ids=BAD)
def test_bad_input(make, error, message):
    with pytest.raises(error) as raised:
        make()
    assert str(raised.value) == message


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), np.array(0.5)])
def test_numbers_of_numpy_are_numbers(number):
    assert ZSharp(rho=number, q_p=number).rho == 0.5
    assert ZSharp(min_rank=np.int64(3)).get_config()["min_rank"] == 3
    assert ZSharp(min_rank=np.array(3)).min_rank == 3


def test_rho_and_q_p_read_as_tensors_in_a_graph():
    """Whatever they are when the graph runs."""
    half = keras.optimizers.schedules.PolynomialDecay(0.25, 10, 1.25)
    rules = [ZSharp(rho=0.5, q_p=0.75), SAM(rho=half)]
    read = tf.function(lambda: [rules[0].rho, rules[0].q_p, rules[1].rho])
    np.testing.assert_allclose(read(), [0.5, 0.75, 0.25])
    rules[0].rho = 0.125
    np.testing.assert_allclose(read(), [0.125, 0.75, 0.25])


def test_rho_assigned_badly_stays():
    rule = SAM(rho=0.1)
    with pytest.raises(ValueError, match=r"`rho` must be >= 0\. Received: rho=-2\.0"):
        rule.rho = -2.0
    assert rule.rho == 0.1


def test_scheduled_rho_cannot_be_assigned():
    rule = SAM(rho=keras.optimizers.schedules.CosineDecay(0.1, 10))
    with pytest.raises(TypeError) as raised:
        rule.rho = 0.2
    assert str(raised.value) == (
        "`rho` of this SAM follows CosineDecay and cannot be assigned. Make the rule with a "
        "number to set it while training."
    )
