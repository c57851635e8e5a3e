from keras_zsharp.keras_internals import Scope
from keras_zsharp.training.assigned import check_no_weight


class PassScope(Scope):
    """Runs one pass with given weights; no variable changes until `commit`.

    Args:
        variables: The trainable variables.
        weights: What they stand for inside the scope, one tensor each.
        after: The `PassScope` of an earlier pass, whose state this one starts from and commits too.
    """

    def __init__(self, variables, weights, after=None):
        self._updates = dict(after._updates) if after else {}
        self.weights = [weight.detach().requires_grad_() for weight in weights]
        self._weight_ids = {id(v) for v in variables}
        state = [
            (variable, after.read(variable))
            for key, variable in self._updates.items()
            if key not in self._weight_ids
        ]
        pairs = [*zip(variables, self.weights, strict=True), *state]
        super().__init__(pairs, collect_losses=True)

    def write(self, variable, value):
        # What is assigned has no gradient, in plain Keras too.
        value = value.detach()
        if id(variable) in self._weight_ids:
            # But to a weight that a layer assigns itself, such as SpectralNormalization.
            weight = self.read(variable)
            value = value + (weight - weight.detach())
        super().write(variable, value)
        self._updates[id(variable)] = variable

    def check_no_weight_assigned(self):
        """Where all of the step's passes are at w + e, a weight would stay there."""
        check_no_weight([v for v in self._updates.values() if id(v) in self._weight_ids])

    def commit(self):
        """Assigns what the pass would have assigned. To be called outside of the scope."""
        for variable in self._updates.values():
            variable.assign(self.read(variable).detach())
