"""Comparisons of methods. Each is a module with a command line."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before any of them imports TensorFlow
