from __future__ import annotations

from typing import Any


def check_no_weight(assigned: list[Any]) -> None:
    """Refuses a layer that assigns weights where the step takes only the pass at w + e.

    Args:
        assigned: The variables of the weights that layers have assigned in the pass.

    Raises:
        ValueError: There is such a variable.
    """
    if assigned:
        raise ValueError(
            "A layer must not assign weights of its own where the rule perturbs along the "
            "optimizer's momentum: the weights would stay at w + e. "
            f"Received: {[v.path for v in assigned]} assigned"
        )
