"""DeiT (Touvron et al., ICML 2021) from KerasHub, for transfer."""

from keras_zsharp.models import checks


def deit_small(input_shape=(224, 224, 3), classes=10, weights=None):
    """KerasHub's DeiT-S/16, with a token for distillation, and a new dense layer: logits.

    Args:
        input_shape: Shape of one image: height, width, channels; the sides multiples of 16.
        classes: Number of logits, >= 1.
        weights: None for random weights, or the name of a KerasHub preset or its folder, such as
            `"deit_small_distilled_patch16_224_imagenet"`; for these `input_shape` must be the
            preset's.

    Returns:
        A `keras_hub.models.DeiTImageClassifier`, a functional `keras.Model` from images to logits.
        It has methods of its own, so train it by `keras_zsharp.sharpness_aware(network)`.

    Raises:
        ImportError: KerasHub is missing.
        ValueError: `input_shape` does not suit.

    Reference:
        Touvron et al., Training data-efficient image transformers, ICML 2021; DeiT-small in Li et
        al., CVPR 2024, Table 5 (the variant without the token for distillation).
    """
    try:
        import keras_hub
    except ImportError as error:
        raise ImportError(
            "deit_small comes from KerasHub: pip install 'keras-zsharp[hub]'"
        ) from error
    input_shape = checks.images(input_shape, sides=16).shape[1:]
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
