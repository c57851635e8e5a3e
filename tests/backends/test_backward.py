"""What users hang on PyTorch's tensors is as in plain Keras, which goes `backward()`."""

import keras
import numpy as np
import pytest

import keras_zsharp
from keras_zsharp import SharpnessAwareModel, sharpness_aware
from tests.backends import networks
from tests.still import still

torch = pytest.importorskip("torch", reason="torch's tensors")
pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="torch's tensors")
FROZEN = slice(0, 5)


class Net(keras.Model):
    """An embedding and a layer. A user's code gets at the tensors that a pass uses."""

    def __init__(self):
        super().__init__()
        self.embedding, self.dense = keras.layers.Embedding(20, 4), keras.layers.Dense(3)
        self.dense.build((None, 4))
        self.embedding.build()

    def call(self, words, training=None):
        total = keras.ops.sum(self.embedding(words), 1)
        return self.dense(self.inside(total) if training else total)

    def inside(self, tensor):
        return tensor

    def loss_of(self, y, y_pred):
        loss = ((y - y_pred) ** 2).mean()
        return self.of_the_loss(self, loss) if loss.requires_grad else loss

    @staticmethod
    def of_the_loss(net, loss):
        return loss


def freeze_rows(net):
    def hook(gradient):
        gradient = gradient.clone()
        gradient[FROZEN] = 0
        return gradient

    net.embedding.embeddings.value.register_hook(hook)


def decay_by_a_hook(net):
    net.dense.kernel.value.register_hook(lambda g: g + 0.1 * net.dense.kernel.value.detach())


def clip_what_has_accumulated(net):
    def hook(parameter):
        parameter.grad.clamp_(-1e-3, 1e-3)

    for parameter in net.parameters():
        parameter.register_post_accumulate_grad_hook(hook)


def drop_what_has_accumulated(net):
    def hook(parameter):
        parameter.grad = None

    net.dense.bias.value.register_post_accumulate_grad_hook(hook)


def freeze_a_parameter(net):
    net.dense.kernel.value.requires_grad_(False)


def thaw_a_parameter(net):
    net.embedding.trainable = False
    net.embedding.embeddings.value.requires_grad_(True)


def go_backward_twice(net):
    def of_the_loss(net, loss):
        (net.dense.kernel.value**2).sum().backward()
        return loss

    net.of_the_loss = of_the_loss


def start_from_a_gradient(net):
    def of_the_loss(net, loss):
        net.dense.bias.value.grad = torch.ones(3)
        return loss

    net.of_the_loss = of_the_loss


def hook_what_is_inside(net):
    def inside(tensor):
        tensor.register_hook(lambda gradient: 2 * gradient)
        return tensor

    net.inside = inside


def penalize_the_gradient(net):
    def of_the_loss(net, loss):
        weights = [v.value for v in net.trainable_weights]
        gradients = torch.autograd.grad(loss, weights, create_graph=True)
        return loss + sum((gradient**2).sum() for gradient in gradients)

    net.of_the_loss = of_the_loss


def compute_again_in_reentrant_passes(net):
    net.inside = lambda tensor: torch.utils.checkpoint.checkpoint(
        lambda t: torch.tanh(t) * net.dense.bias.value.sum(), tensor, use_reentrant=True
    )


HUNG = [
    freeze_rows,
    decay_by_a_hook,
    clip_what_has_accumulated,
    drop_what_has_accumulated,
    freeze_a_parameter,
    thaw_a_parameter,
    go_backward_twice,
    start_from_a_gradient,
    hook_what_is_inside,
    penalize_the_gradient,
    compute_again_in_reentrant_passes,
]


def network(hang=lambda net: None):
    keras.utils.set_random_seed(0)
    net = Net()
    hang(net)
    return net


def data():
    random = np.random.default_rng(0)
    return random.integers(0, 20, (32, 3)), random.normal(size=(32, 3)).astype("float32")


def compiled(model, net, optimizer):
    model.compile(optimizer, net.loss_of)
    return model


def trained(model, net):
    compiled(model, net, keras.optimizers.AdamW(0.01))
    model.fit(*data(), batch_size=16, shuffle=False, verbose=0)


def weights(net):
    """Without those of the rule."""
    return networks.copied([*net.embedding.weights, *net.dense.weights])


def gradients(net):
    """What is in `.grad`."""
    found = [v.value.grad for v in (*net.embedding.weights, *net.dense.weights)]
    return [None if gradient is None else gradient.numpy().copy() for gradient in found]


def assert_equal(one, other):
    for ours, theirs in zip(one, other, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("hang", HUNG)
def test_without_radius_all_that_users_hang_on_tensors_does_as_in_plain_keras(hang):
    net, ours, in_place = (network(hang) for _ in range(3))
    trained(net, net)
    trained(SharpnessAwareModel(ours, still()), ours)
    trained(sharpness_aware(in_place, still()), in_place)
    assert_equal(weights(ours), weights(net))
    assert_equal(weights(in_place), weights(net))
    assert_equal(gradients(ours), gradients(net))


def test_rows_that_a_hook_freezes_stay_and_are_not_perturbed():
    class Sees(keras_zsharp.SAM):
        def call(self, gradients, variables, rho):
            assert not gradients[0][FROZEN].any()
            assert gradients[0].any()
            return super().call(gradients, variables, rho)

    net = network(freeze_rows)
    before = weights(net)[0]
    trained(SharpnessAwareModel(net, Sees(rho=0.5), micro_batches=2, mean_of_parts=True), net)
    after = weights(net)[0]
    np.testing.assert_allclose(after[FROZEN], before[FROZEN], rtol=0, atol=2e-3)  # AdamW's decay.
    assert np.abs(after - before)[5:].max() > 1e-2


def test_hooks_run_in_each_pass_and_find_its_weights():
    seen = []

    def hang(net):
        kernel = net.dense.kernel
        kernel.value.register_hook(lambda g: seen.append(networks.copied([kernel.value])[0]))

    net = network(hang)
    before = weights(net)[1]
    model = compiled(SharpnessAwareModel(net, keras_zsharp.SAM(rho=0.5)), net, "sgd")
    model.train_on_batch(*data())
    clean, shifted = seen
    np.testing.assert_array_equal(clean, before)
    assert np.abs(shifted - before).max() > 1e-3


def test_the_optimizers_gradients_are_left_also_by_rules_that_change_them():
    net = network()
    model = SharpnessAwareModel(net, "gsam", micro_batches=2, mean_of_parts=True)
    compiled(model, net, keras.optimizers.SGD(1.0))
    before = weights(net)
    model.train_on_batch(*data())
    for w, g, after in zip(before, gradients(net), weights(net), strict=True):
        np.testing.assert_allclose(w - g, after, rtol=0, atol=1e-6)


def test_an_error_in_the_second_pass_leaves_the_gradients():
    calls = []

    def hang(net):
        def of_the_loss(net, loss):
            calls.append(loss)
            if len(calls) == 4:
                raise FloatingPointError
            return loss

        net.of_the_loss = of_the_loss

    net = network(hang)
    model = compiled(SharpnessAwareModel(net, "sam"), net, "sgd")
    model.train_on_batch(*data())
    before = gradients(net)
    with pytest.raises(FloatingPointError):
        model.train_on_batch(*data())
    assert_equal(gradients(net), before)


def hook_in_the_loss(net):
    def of_the_loss(net, loss):
        net.dense.kernel.value.register_hook(lambda gradient: 2 * gradient)
        return loss

    net.of_the_loss = of_the_loss


def keep_gradients(net):
    net.zero_grad = lambda: None


@pytest.mark.parametrize(
    ("hang", "message"),
    [(hook_in_the_loss, "Hooks of weights must be"), (keep_gradients, "`zero_grad` must set")],
)
def test_what_only_one_backward_pass_could_do_is_refused(hang, message):
    net = network(hang)
    before = weights(net)
    with pytest.raises(ValueError, match=message):
        trained(sharpness_aware(net, "sam"), net)
    assert_equal(weights(net), before)
