"""Does a bundle still compute what it computed when it was exported?"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.engine import Engine
from engines.manifest import BrokenBundleError
from engines.opinion import Array, Opinion
from engines.parity import reference_of

TOLERANCE = 1e-3
"""Largest difference of a belief or an uncertainty; processors round differently."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The outcome of a comparison with the bundle's reference."""

    inputs: int
    largest_difference: float


def verify(engine: Engine) -> Verified:
    """Run the engine on its reference inputs; raise BrokenBundleError if opinions differ."""
    reference = reference_of(engine.path)
    evidence = engine.runtime(reference.inputs)["evidence"]
    try:
        difference = float(np.abs(_masses(evidence) - _masses(reference.evidence)).max())
    except ValueError as error:
        raise BrokenBundleError(engine.path, f"its network gives nonsense ({error})") from error
    if not difference <= TOLERANCE:
        raise BrokenBundleError(
            engine.path,
            f"its opinions differ by {difference:.2g} from those at export;"
            f" the runtime on this machine computes something else, install another version",
        )
    return Verified(len(reference.inputs), difference)


def _masses(evidence: npt.NDArray[np.float32]) -> Array:
    opinion = Opinion.from_evidence(evidence)
    return np.column_stack([opinion.belief, opinion.uncertainty])
