"""What of SAM's perturbation makes its effect: variants of the step, for comparison."""

from keras_zsharp.analysis.ascent_from import AscentFrom

__all__ = ["AscentFrom"]
