"""What `train.py` and `reproduce.py` share: runs, grids of runs, and reports on them."""
