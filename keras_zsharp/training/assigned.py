def check_no_weight(assigned):
    """Refuses weights that a layer assigned in a pass at w + e, where the step takes no other.

    Args:
        assigned: Their variables.
    """
    if assigned:
        raise ValueError(
            "A layer must not assign weights of its own where the rule perturbs along the "
            "optimizer's momentum: they would stay at w + e. "
            f"Received: {[v.path for v in assigned]} assigned"
        )
