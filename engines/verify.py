"""Does a bundle still compute what it computed when it was exported?"""

from dataclasses import dataclass

from engines.engine import Engine
from engines.manifest import BrokenBundleError
from engines.multilabel import MultilabelEngine
from engines.parity import apart, reference_of

TOLERANCE = 1e-3
"""Of what `apart` gives; processors round differently."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The outcome of a comparison with the bundle's reference."""

    inputs: int
    largest_difference: float


def verify(engine: Engine | MultilabelEngine) -> Verified:
    """Run the engine on its reference inputs; raise BrokenBundleError if opinions differ."""
    reference = reference_of(engine.path, engine.manifest.given)
    (found,) = engine.run([reference.inputs])
    difference = apart(found, reference.outputs)
    if not difference <= TOLERANCE:
        raise BrokenBundleError(
            engine.path,
            f"its opinions differ by {difference:.2g} from those at export;"
            f" the runtime on this machine computes something else, install another version",
        )
    return Verified(len(reference.inputs), difference)
