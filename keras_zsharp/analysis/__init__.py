"""Variants of the step for research: perturbations along other gradients."""

from keras_zsharp.analysis.ascent_from import AscentFrom

__all__ = ["AscentFrom"]
