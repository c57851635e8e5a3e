"""Keras' TensorFlow backend."""
