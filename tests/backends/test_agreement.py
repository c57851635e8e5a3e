"""Twenty steps come to the same weights on every backend, by every rule.

`python -m tests.backends.test_agreement` adds those that are not stored yet, of TensorFlow.
"""

import numpy as np
import pytest

from keras_zsharp import SharpnessAwareModel
from tests.backends import networks

pytestmark = pytest.mark.matrix
AMPLIFYING = ("look_sam", "wsam")
"""Rules that give the optimizer several times the difference of two gradients."""


def weights_after(setting):
    name, arguments, options = networks.SETTINGS[setting]
    rule = networks.rule_of(name, **arguments)
    model = networks.compiled(SharpnessAwareModel(networks.network(), rule, **options))
    networks.trained(model)
    return networks.flat(networks.copied(model.model.weights))


@pytest.mark.parametrize("setting", networks.SETTINGS)
def test_weights_after_twenty_steps(setting):
    stored = np.load(networks.STORED)[setting]
    atol = 5e-5 if setting.startswith(AMPLIFYING) else 1e-5
    np.testing.assert_allclose(weights_after(setting), stored, rtol=0, atol=atol)


if __name__ == "__main__":
    found = dict(np.load(networks.STORED))
    missing = [setting for setting in networks.SETTINGS if setting not in found]
    found |= {setting: weights_after(setting) for setting in missing}
    np.savez_compressed(networks.STORED, **found)
