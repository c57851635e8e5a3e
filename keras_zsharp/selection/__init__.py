"""Which components of the gradients stand out: masks, and the order statistics behind them."""
