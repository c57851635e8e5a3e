"""Training steps to be timed, one module per library; each has a function `step`."""
