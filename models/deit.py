"""DeiT (Touvron et al., ICML 2021) from KerasHub, for transfer."""

from __future__ import annotations

import keras

from keras_zsharp.models import checks
from keras_zsharp.models.checks import ImageShape


def deit_small(
    input_shape: ImageShape = (224, 224, 3), classes: int = 10, weights: str | None = None
) -> keras.Model:
    """KerasHub's DeiT-S/16 with a token for distillation. A new dense layer gives the logits.

    Args:
        input_shape: Height, width and channels of an image. Height and width are multiples of 16.
            With a preset, it is the preset's shape.
        classes: Number of logits, >= 1.
        weights: None for random weights, or a KerasHub preset: its name, such as
            `"deit_small_distilled_patch16_224_imagenet"`, or its folder.

    Returns:
        A `keras_hub.models.DeiTImageClassifier`, a functional `keras.Model` from images to logits.
        It has methods of its own: `keras_zsharp.sharpness_aware(network, rule)` trains it.

    Raises:
        ImportError: KerasHub is missing.
        TypeError, ValueError: An argument is of the wrong type, or outside of its range.

    Reference:
        Touvron et al., "Training data-efficient image transformers", ICML 2021. Li et al.,
        "Friendly Sharpness-Aware Minimization", CVPR 2024, Table 5, have the variant without the
        token for distillation.
    """
    try:
        import keras_hub
    except ImportError as error:
        raise ImportError(
            "deit_small comes from KerasHub: pip install 'keras-zsharp[hub]'"
        ) from error
    input_shape = checks.images(input_shape, multiple=16).shape[1:]
    checks.outputs(classes, name=None)
    if not isinstance(weights, str | None):
        raise TypeError(
            "`weights` must be None or a preset's name. "
            f"Received: weights={weights!r} of type {type(weights)}"
        )
    if weights is None:
        backbone = keras_hub.models.DeiTBackbone(
            image_shape=input_shape,
            patch_size=16,
            num_layers=12,
            num_heads=6,
            hidden_dim=384,
            intermediate_dim=1536,
        )
    else:
        backbone = _preset(keras_hub, weights)
    if tuple(backbone.image_shape) != tuple(input_shape):
        raise ValueError(
            f"`input_shape` must be {backbone.image_shape} for weights={weights!r}. "
            f"Received: {input_shape}"
        )
    return keras_hub.models.DeiTImageClassifier(backbone=backbone, num_classes=classes)


def _preset(keras_hub, weights):
    try:
        return keras_hub.models.DeiTBackbone.from_preset(weights)
    except ValueError as error:
        raise ValueError(
            "`weights` must be a preset of KerasHub's DeiT. "
            f"Received: weights={weights!r} ({error})"
        ) from error
