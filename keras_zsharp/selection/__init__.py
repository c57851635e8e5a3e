"""Masks of the gradient components that stand out, and the order statistics behind them."""
