"""Measured figures: each module prints one table."""

import streamer  # noqa: F401 - sets what must be set before NumPy loads
