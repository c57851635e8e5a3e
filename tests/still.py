"""A rule that takes both passes and moves nothing: what is left of the second shows."""

from keras import ops

from keras_zsharp import SAM


def still(rule=SAM, **arguments):
    """One of that class with rho = 0, at which it would take one pass by itself."""

    def perturbs(self):
        return ops.ones((), "bool")

    return type(f"Still{rule.__name__}", (rule,), {"perturbs": perturbs})(rho=0.0, **arguments)
