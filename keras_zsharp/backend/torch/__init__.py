"""Keras' PyTorch backend."""
