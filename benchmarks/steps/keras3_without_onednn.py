"""Ours, where TensorFlow does not use oneDNN."""

import os

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

from steps.keras3 import VERSIONS, step

__all__ = ["VERSIONS", "step"]
