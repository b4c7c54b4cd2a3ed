"""Drawing people again and again: how much a figure hangs on who happened to be measured."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from train.checks import Indices, TrustError, check_list


def resamples(groups: npt.ArrayLike, draws: int, seed: int) -> Iterator[Indices]:
    """Draw as many groups as there are, with replacement, and give their samples' rising indices.

    ``groups`` (N,) names who each sample is of. Raises TrustError with fewer than two groups.
    """
    names, member = np.unique(check_list(groups, "groups"), return_inverse=True)
    if len(names) < 2:
        raise TrustError("an interval needs samples of at least two groups (people)")
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        times = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        yield np.repeat(np.arange(len(member)), times[member])


def percentiles(values: Sequence[float | None], level: float) -> tuple[float, float] | None:
    """Return the middle ``level`` of the values that are not None; None without any."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
