"""Prints what an environment has."""

import sys

import keras
import numpy
import tensorflow

versions = keras.__version__, tensorflow.__version__, numpy.__version__
print("Versions:", sys.version.split()[0], *versions)
