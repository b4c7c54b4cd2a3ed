"""What every opened engine is: a network that runs here, with its contract."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from engines.manifest import BrokenBundleError, NetworkManifest
from engines.runtime import Batch, Outputs, Runtime, sound, stacked

Contract = TypeVar("Contract", bound=NetworkManifest)


@dataclass(frozen=True, slots=True, eq=False)
class Opened(Generic[Contract]):
    """A network with its contract. Asking it is thread-safe and has no side effect."""

    path: Path
    manifest: Contract
    hash: str
    """First 16 hexadecimal digits of the manifest's SHA-256, which covers every file."""
    runtime: Runtime
    choice: str = ""
    """In a line, for people: what runs it here, and why nothing better."""
    lacking: bool = False
    """Whether a plan that there is, or a GPU that is asked for by name, cannot be used."""

    def run(self, windows: Sequence[Batch]) -> list[Outputs]:
        """Return what the network gives for each window's rows (n, ...), by one call for all.

        Raises BrokenBundleError where its answers are nonsense.
        """
        if not windows:
            return []
        made = self.runtime(stacked(windows))
        if not sound(made):
            raise BrokenBundleError(self.path, "its network gives nonsense")
        ends = np.cumsum([len(rows) for rows in windows])[:-1]
        parts = {name: np.split(values, ends) for name, values in made.items()}
        return [{name: parts[name][i] for name in parts} for i in range(len(windows))]
