"""One table that drives every rule through the same checks, and what each rule is by itself."""

import logging
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_zsharp
from keras_zsharp import (
    ASAM,
    AWP,
    GSAM,
    LESAM,
    MSAM,
    SAM,
    SANER,
    SSAM,
    WSAM,
    AdaptiveFriendlySAM,
    FisherSAM,
    FriendlySAM,
    LookSAM,
    RandomSAM,
    ZSharp,
    rules,
)
from tests.rules.checks import RuleChecks
from tests.rules.model_checks import ModelChecks
from tests.rules.rules import RULES, fresh, inputs, length
from tests.tiers import crossed


class TestEveryRule(RuleChecks):
    @pytest.fixture(params=RULES)
    def rule(self, request):
        return fresh(request.param)


ONE_OF_EACH_CLASS = {type(rule): name for name, rule in reversed(RULES.items())}


class TestEveryRuleInAModel(ModelChecks):
    @pytest.fixture(params=ONE_OF_EACH_CLASS.values())
    def rule(self, request):
        return fresh(request.param)


def test_every_rule_is_in_the_table_and_public():
    assert set(ONE_OF_EACH_CLASS) == set(rules.RULES.values())
    for rule in ONE_OF_EACH_CLASS:
        assert {rule.__name__} <= {*keras_zsharp.__all__} & {*rules.__all__}


def test_hand_computed_goldens():
    zero = keras.Variable(np.zeros(2), name="kernel")
    [epsilon] = SAM(rho=0.1)([np.float32([3, 4])], [zero])
    np.testing.assert_allclose(epsilon, [0.06, 0.08], rtol=1e-6)

    # |g - mean| = 3.75, 3.25, 0.25, 0.25: two are above the 0.5-quantile of 1.75.
    square = keras.Variable(np.zeros((2, 2)), name="kernel")
    [epsilon] = ZSharp(rho=1.0, q_p=0.5)([np.float32([[-4, 3], [0, 0]])], [square])
    np.testing.assert_allclose(epsilon, [[-0.8, 0.6], [0, 0]], rtol=1e-6)

    # T = (|2| + 1, 1): T g = (3, 4), T² g = (9, 4).
    kernel, bias = keras.Variable([2.0], name="kernel"), keras.Variable([9.0], name="bias")
    epsilons = ASAM(rho=0.5, eta=1.0)([np.float32([1]), np.float32([4])], [kernel, bias])
    np.testing.assert_allclose(np.concatenate(epsilons), [0.9, 0.4], rtol=1e-6)

    # F = 1 + (9, 16) / 3 = (4, 19 / 3): F⁻¹ g = (3 / 4, 12 / 19), g · F⁻¹ g = 9 / 4 + 48 / 19.
    [epsilon] = FisherSAM(rho=0.1, eta=1 / 3)([np.float32([3, 4])], [zero])
    expected = 0.1 * np.array([3 / 4, 12 / 19]) / np.sqrt(9 / 4 + 48 / 19)
    np.testing.assert_allclose(epsilon, expected, rtol=1e-6)

    # p = (2, 0): g is 3 along it, and (0, 4) beside it.
    [descent] = GSAM(alpha=0.5).descent([np.float32([3, 4])], [np.float32([2, 0])])
    np.testing.assert_allclose(descent, [2, -2], rtol=1e-6)

    # p / g = 0.5, -0.5, 2, 1, and no number: one component is scaled down.
    g, p = np.float32([4, 4, -1, 2, 0]), np.float32([2, -2, -2, 2, 1])
    [descent] = SANER(alpha=0.25).descent([g], [p])
    np.testing.assert_allclose(descent, [0.5, -2, -2, 2, 1], rtol=1e-6)

    # A kernel 5 long moves by 0.5; a bias, a gain and a kernel of zeros stay.
    kernel, bias = (keras.Variable([[3.0, 4.0]], name=name) for name in ("kernel", "bias"))
    gain, still = keras.Variable([3.0, 4.0], name="gamma"), keras.Variable([[0.0]], name="kernel")
    gradients = [np.float32([[0, 2]]), np.float32([[0, 2]]), np.float32([0, 2]), np.float32([[1]])]
    epsilons = AWP(rho=0.1)(gradients, [kernel, bias, gain, still])
    found = np.concatenate([np.ravel(e) for e in epsilons])
    np.testing.assert_allclose(found, [0, 0.5, *[0] * 5], rtol=1e-6)

    # g is 5 long, s is 13: at its length, s is 5 / 13 of itself.
    [descent] = SSAM().descent([np.float32([3, 4])], [np.float32([5, 12])])
    np.testing.assert_allclose(descent, [25 / 13, 60 / 13], rtol=1e-6)

    # gamma / (1 - gamma) = 4, (1 - 2 gamma) / (1 - gamma) = -3.
    [descent] = WSAM(gamma=0.8).descent([np.float32([3, 4])], [np.float32([2, 5])])
    np.testing.assert_allclose(descent, [-1, 8], rtol=1e-5)

    # To raise the loss by 0.1 along a gradient 5 long takes 0.02; at most 0.01 is allowed.
    for rho, radius in ((0.5, 0.02), (0.01, 0.01)):
        [epsilon] = LESAM(rho=rho, sigma=0.1)([np.float32([3, 4])], [zero])
        np.testing.assert_allclose(epsilon, [0.6 * radius, 0.8 * radius], rtol=1e-6)

    # Against the momentum.
    [epsilon] = MSAM(rho=0.1)([np.float32([3, 4])], [zero])
    np.testing.assert_allclose(epsilon, [-0.06, -0.08], rtol=1e-6)

    # Beside g = (3, 0), s has (0, 2): between, |g'| = 5 and alpha = 0.5 add (0, 2.5).
    rule = LookSAM(alpha=0.5)
    rule.build([zero])
    rule.descent([np.float32([3, 0])], [np.float32([7, 2])])
    [descent] = rule.plain_descent([np.float32([3, 4])])
    np.testing.assert_allclose(descent, [3, 6.5], rtol=1e-6)

    # m = 0.1 g, d = g - m = 0.9 g; then m = 0.09 g + 0.1 (-g) = -0.01 g, d = -g + 0.01 g.
    rule = FriendlySAM(rho=0.1)
    gradient = np.float32([3, 4])
    np.testing.assert_allclose(rule([gradient], [zero])[0], [0.06, 0.08], rtol=1e-6)
    np.testing.assert_allclose(rule([-gradient], [zero])[0], [-0.06, -0.08], rtol=1e-6)
    np.testing.assert_allclose(rule.averages[0], -0.01 * gradient, rtol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "sam",
        "zsharp",
        "zsharp_all_ranks",
        "zsharp_magnitude",
        "zsharp_one_quantile",
        "gsam",
        "look_sam",
        "msam",
        "random_sam",
        "saner",
        "ssam",
        "wsam",
        "friendly_sam",
    ],
)
def test_length_is_rho(name):
    epsilons = fresh(name)(*inputs(), 0)
    assert length(epsilons) == pytest.approx(0.1, rel=1e-5)


def test_length_of_each_filtered_variable_is_rho_per_variable():
    gradients, variables = inputs()
    epsilons = fresh("zsharp_per_variable")(gradients, variables)
    whole = length(gradients)
    assert length(epsilons[:1]) == pytest.approx(0.1, rel=1e-5)
    for epsilon, gradient in zip(epsilons[1:4], gradients[1:4], strict=True):
        np.testing.assert_allclose(epsilon, 0.1 * gradient / whole, rtol=1e-5)


@pytest.mark.parametrize("name", ["asam", "adaptive_friendly_sam"])
def test_adaptive_length_is_rho(name):
    gradients, variables = inputs()
    epsilons = fresh(name)(gradients, variables)
    operators = [1 if v.name in ("bias", "beta") else np.abs(v.numpy()) + 0.02 for v in variables]
    relative = [None if e is None else e / T for e, T in zip(epsilons, operators, strict=True)]
    assert length(relative) == pytest.approx(0.1, rel=1e-5)


LAYERS = {
    "attention": (layers.MultiHeadAttention(2, 4), [(2, 3, 5), (2, 3, 5)]),
    "gru": (layers.GRU(3), [(2, 4, 5)]),
    "dense": (layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"), [(2, 4, 5)]),
    "normalization": (layers.BatchNormalization(), [(2, 4, 5)]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_biases_of_any_rank_are_no_kernels(name):
    """Neither for ZSharp, unless it filters all, nor for ASAM."""
    layer, shapes = LAYERS[name]
    layer.build(*shapes)
    variables = layer.trainable_variables
    biases = [v.name in ("bias", "beta") for v in variables]
    assert any(biases)
    random = np.random.default_rng(0)
    gradients = [random.normal(size=v.shape).astype("float32") for v in variables]
    zsharp = ZSharp(rho=0.1, q_p=0.6, norm="per_variable")(gradients, variables)
    everything = ZSharp(rho=0.1, q_p=0.6, min_rank=0)(gradients, variables)
    asam = ASAM(rho=0.1)(gradients, variables)
    ratio = asam[biases.index(True)] / gradients[biases.index(True)]
    for is_bias, g, *epsilons in zip(biases, gradients, zsharp, everything, asam, strict=True):
        whole, filtered, adaptive = (np.asarray(e) for e in epsilons)
        assert (whole != 0).all() == (is_bias or g.ndim < 2)
        assert (filtered == 0).any()
        if is_bias:
            np.testing.assert_allclose(adaptive, g * np.mean(ratio), rtol=1e-4)


def test_asam_where_every_weight_counts_one_is_sam():
    gradient = np.float32([1, -2, 3])
    variable = keras.Variable(np.float32([0.99, -0.99, 0.99]), name="kernel")
    [asam] = ASAM(rho=0.1, eta=0.01)([gradient], [variable])
    [sam] = SAM(rho=0.1)([gradient], [variable])
    np.testing.assert_allclose(asam, sam, rtol=1e-6)


def test_adaptive_friendly_sam_without_average_is_asam():
    gradients, variables = inputs()
    left = AdaptiveFriendlySAM(rho=0.1, sigma=0.0)(gradients, variables)
    right = ASAM(rho=0.1)(gradients, variables)
    for ours, theirs in zip(left[:-1], right[:-1], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_length_of_fisher_sam_is_rho_in_its_metric():
    gradients, variables = inputs()
    epsilons = fresh("fisher_sam")(gradients, variables)
    pairs = zip(epsilons[:-1], gradients[:-1], strict=True)
    measured = [e * np.sqrt(1 + 0.3 * g**2) for e, g in pairs]
    assert length(measured) == pytest.approx(0.1, rel=1e-5)


def test_limits_of_fisher_sam_and_gsam_are_sam():
    gradients, variables = inputs()
    expected = fresh("sam")(gradients, variables)
    for rule in (FisherSAM(rho=0.1, eta=0), GSAM(rho=0.1)):
        for ours, theirs in zip(rule(gradients, variables)[:-1], expected[:-1], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    shifted = [None if g is None else g[::-1] for g in gradients]
    for ours, theirs in zip(GSAM(alpha=0).descent(gradients, shifted), shifted, strict=True):
        if theirs is not None:
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 1e-4, 1.0, 1e15])
def test_descent_of_gsam(scale):
    """`p - alpha g⊥`, and homogeneous: the loss' scale does not show."""
    gradients, _ = inputs(scale)
    shifted, _ = inputs(scale, seed=1)
    g, p = (
        np.concatenate([x.ravel() for x in xs[:-1]]).astype("float64")
        for xs in (gradients, shifted)
    )
    beside = g - p * (g @ p) / (p @ p) if scale else g
    descent = GSAM(alpha=0.3).descent(gradients, shifted)
    assert descent[-1] is None
    found = np.concatenate([np.ravel(d) for d in descent[:-1]])
    np.testing.assert_allclose(found, p - 0.3 * beside, rtol=1e-4, atol=1e-4 * scale)


@pytest.mark.parametrize(
    "name", ["sam", "zsharp", "zsharp_per_variable", "zsharp_magnitude", "asam"]
)
def test_loss_scale_changes_nothing(name):
    for plain, scaled in zip(fresh(name)(*inputs(1.0)), fresh(name)(*inputs(2.0**15)), strict=True):
        if plain is not None:
            np.testing.assert_allclose(scaled, plain, rtol=1e-5)


def test_config_round_trip_of_a_schedule():
    rule = ZSharp(rho=keras.optimizers.schedules.CosineDecay(0.1, 10))
    again = ZSharp.from_config(rule.get_config())
    assert again.get_config() == rule.get_config()
    assert again.rho == 0.1


def test_variables_overwritten_with_their_gradient_are_no_weights():
    """Float8 scales: no part in the norm, no perturbation."""
    gradients, variables = inputs()
    expected = SAM(rho=0.1)([*gradients[:3], None, None], variables)
    variables[3].overwrite_with_gradient = True
    epsilons = SAM(rho=0.1)(gradients, variables)
    assert epsilons[3] is None
    np.testing.assert_array_equal(epsilons[0], expected[0])


def test_zsharp_falls_back_to_sam_where_nothing_stands_out():
    constant = [np.ones((2, 3), "float32")]
    variables = [keras.Variable(np.zeros((2, 3)), name="kernel")]
    for norm in ("global", "per_variable"):
        [ours] = ZSharp(rho=0.1, q_p=0.5, norm=norm)(constant, variables)
        np.testing.assert_allclose(ours, SAM(rho=0.1)(constant, variables)[0], rtol=1e-6)


def test_a_rule_of_ones_own():
    @keras.saving.register_keras_serializable("tests")
    class Sign(rules.Rule):
        def call(self, gradients, variables, rho):
            return [None if g is None else rho * keras.ops.sign(g) for g in gradients]

    gradients, variables = inputs()
    rule = rules.get(keras.saving.serialize_keras_object(Sign(rho=0.1)))
    np.testing.assert_allclose(rule(gradients, variables)[0], 0.1 * np.sign(gradients[0]))
    with pytest.raises(NotImplementedError, match="`Rule` must implement `call`"):
        rules.Rule(rho=0.1)(gradients, variables)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda gradients: gradients[:-2],
        lambda gradients: [None for _ in gradients],
        lambda gradients: [0.0 if g is None else g for g in gradients[:-1]],
        lambda gradients: [keras.ops.sum(g) for g in gradients[:-1]] + [None],
        lambda gradients: [*gradients[:-1], gradients[0]],
    ],
)
def test_what_is_no_perturbation_is_refused(wrong):
    class Wrong(rules.Rule):
        def call(self, gradients, variables, rho):
            return wrong(gradients)

    with pytest.raises(ValueError, match=r"^`call` of Wrong must return a list .* Received: \["):
        Wrong(rho=0.1)(*inputs())


STEPPED = keras.optimizers.schedules.PiecewiseConstantDecay([1], [1.0, 0.0])
GIVEN = [np.float32([3, 4])], [np.zeros(2, "float32")]


def test_random_directions_are_drawn_anew_and_can_be_repeated():
    """They do not depend on the gradients; a seed of more than 31 bits is taken, too."""
    gradients, variables = inputs()
    runs = []
    for scale, seed in ((1.0, 3), (2.0, 3), (1.0, 3 + 2**31), (1.0, 4)):
        rule = RandomSAM(rho=0.1, seed=seed)
        scaled = [None if g is None else scale * g for g in gradients]
        runs.append([np.array(rule(scaled, variables)[0]) for _ in range(2)])
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])
    drawn = [np.ravel(epsilon) for epsilon in (*runs[0], *runs[3])]
    assert len({tuple(epsilon) for epsilon in drawn}) == 4


def test_what_a_rule_reads_is_checked():
    class Wrong(SAM):
        reads = "momenta"

    with pytest.raises(ValueError, match=r"`reads` must be .* Received: reads='momenta'"):
        Wrong()


def test_alpha_of_saner_follows_a_schedule():
    rule = SANER(alpha=keras.optimizers.schedules.PolynomialDecay(1.0, 2, 0.5))
    g, p = [np.float32([4])], [np.float32([2])]
    factors = [float(rule.descent(g, p, step)[0][0]) / 2 for step in range(4)]
    np.testing.assert_allclose(factors, [1, 0.75, 0.5, 0.5])


def test_a_schedule_is_of_the_step():
    rule = SAM(rho=STEPPED)
    lengths = [length(rule(*GIVEN, step)) for step in (0, np.int64(1), keras.Variable(2, "int32"))]
    np.testing.assert_allclose(lengths, [1.0, 1.0, 0.0], atol=1e-6)
    assert rule.rho == 1.0
    assert rule.variables == []


@pytest.mark.parametrize(
    "rule",
    [
        SAM(rho=STEPPED),
        SANER(alpha=STEPPED),
        ZSharp(q_p=STEPPED),
        LESAM(sigma=STEPPED),
        LookSAM(),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_a_step_that_is_needed_is_asked_for(rule):
    with pytest.raises(ValueError, match=r"`step` must be the number of steps .*step=None"):
        rule(*GIVEN)


@pytest.mark.parametrize("step", [1.0, True, [1, 2]])
def test_a_step_is_an_integer(step):
    with pytest.raises(TypeError, match=r"`step` must be .*, an int or an integer scalar"):
        SAM()(*GIVEN, step)


@pytest.mark.parametrize("norm", ["global", "per_variable"])
@pytest.mark.parametrize("mode", crossed(["eager", "graph", "xla"], default=["eager", "graph"]))
def test_q_p_can_be_set_without_a_new_trace(mode, norm):
    """0 is SAM, 1 perturbs nothing; in between, the same as a rule made with that number."""
    gradients, variables = inputs()
    rule, traces = ZSharp(rho=0.1, q_p=0.7, norm=norm), []

    def perturb(*gradients):
        traces.append(1)
        return rule([*gradients, None], variables)[:-1]

    if mode != "eager":
        perturb = tf.function(perturb, jit_compile=mode == "xla")

    def epsilons(q_p):
        rule.q_p = q_p
        return perturb(*map(tf.constant, gradients[:-1]))

    for q_p in (0.7, 0.25, 0.95):
        expected = ZSharp(rho=0.1, q_p=q_p, norm=norm)(gradients, variables)
        for ours, theirs in zip(epsilons(q_p), expected, strict=False):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5)
        assert rule.q_p == q_p
    assert not any(np.any(e) for e in epsilons(1))
    unfiltered = epsilons(0)
    assert mode == "eager" or len(traces) == 1
    rule = SAM(rho=0.1)
    sam = (
        perturb
        if mode == "eager"
        else tf.function(perturb.python_function, jit_compile=mode == "xla")
    )
    for ours, theirs in zip(unfiltered, sam(*map(tf.constant, gradients[:-1])), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_q_p_follows_a_schedule():
    linear = keras.optimizers.schedules.PolynomialDecay(0.0, 10, end_learning_rate=1.0)
    rule, variable = ZSharp(q_p=linear), keras.Variable(np.zeros((1, 101)), name="kernel")
    gradient = np.random.default_rng(0).exponential(size=(1, 101)).astype("float32")
    for step, kept in enumerate((101, 90, 80, 70, 60, 50, 40, 30, 20, 10, 0, 0)):
        [epsilon] = rule([gradient], [variable], step)
        assert np.count_nonzero(epsilon) == kept


def test_average_of_other_variables_is_refused():
    rule = FriendlySAM()
    rule([np.ones(2, "float32")], [keras.Variable(np.zeros(2))])
    message = (
        "`variables` must be those that this FriendlySAM averages, of shapes [(2,)]. "
        "Received: shapes [(3,)]"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        rule([np.ones(3, "float32")], [keras.Variable(np.zeros(3))])


def test_autograph_has_nothing_to_translate():
    """It warns of methods that are a docstring."""

    class Written(SAM):
        def build(self, variables):
            """Nothing to build."""

    said, rule, weight = [], Written(), keras.Variable(tf.ones(3))
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger("tensorflow").addHandler(handler)
    try:
        tf.function(lambda: rule([tf.ones(3)], [weight]))()
    finally:
        logging.getLogger("tensorflow").removeHandler(handler)
    assert not said
