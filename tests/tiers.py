"""The tiers beside the default one, and how a test gets into them."""

import pytest

TIERS = ("matrix", "slow", "project")


def crossed(cells, default, tier="matrix"):
    """Parameters of a test: the `default` ones in the default tier, the others in `tier`.

    Args:
        cells: Values of one parameter, or tuples of the values of several.
        default: Those of them that a behaviour is shown on; a typo is an error.
        tier: Of the others.
    """
    cells, default = list(cells), list(default)
    unknown = [cell for cell in default if cell not in cells]
    if unknown:
        raise ValueError(f"`default` must be of `cells`. Received: {unknown}")
    others = getattr(pytest.mark, tier)
    return [
        pytest.param(
            *(cell if isinstance(cell, tuple) else (cell,)), marks=[] if cell in default else others
        )
        for cell in cells
    ]
