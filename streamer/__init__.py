"""Asyncio pipelines: I/O and time around the engines."""

import os

# OpenBLAS would spin on every core for products of a millisecond; it reads this when NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
