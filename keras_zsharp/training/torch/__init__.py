"""The step on Keras' PyTorch backend."""
