"""Keras' JAX backend."""
