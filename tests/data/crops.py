"""What a crop and a mirror can make of an image."""

import numpy as np


def possible(image, padding, flip):
    """Every image that a crop of `image` and a mirror can give."""
    height, width, _ = image.shape
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
    crops = [
        padded[y : y + height, x : x + width]
        for y in range(2 * padding + 1)
        for x in range(2 * padding + 1)
    ]
    return crops + [crop[:, ::-1] for crop in crops] if flip else crops
