"""What kind of variable a rule has before it."""


def is_bias(variable):
    """Whether it is added to what a layer computes: Keras names it `bias` or `beta`.

    Of whatever rank: attention's biases have a row for every head, a GRU's two rows.
    """
    return getattr(variable, "name", None) in ("bias", "beta")
