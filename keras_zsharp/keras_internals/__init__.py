"""The private names of Keras that this library uses.

A new release of Keras may break this package, and no other.
"""
