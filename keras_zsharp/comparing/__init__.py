"""Whether sharpness-aware training helps on a problem, with which rule and which radius."""

from keras_zsharp.comparing.compare import compare
from keras_zsharp.comparing.comparison import Comparison
from keras_zsharp.comparing.fit import Fit
from keras_zsharp.comparing.method import Method

__all__ = ["Comparison", "Fit", "Method", "compare"]
