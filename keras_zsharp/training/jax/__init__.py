"""The step on Keras' JAX backend."""
