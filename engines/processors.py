"""How many processors there are to compute on."""

import os


def processors() -> int:
    """Return how many this process may use: in a container often fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
