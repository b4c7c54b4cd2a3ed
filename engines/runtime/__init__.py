"""What runs a network. Each runtime takes a batch and returns evidence and embedding."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Batch = npt.NDArray[np.float32] | npt.NDArray[np.int64]
"""What a network is given (B, ...): pictures of face or voice, or buckets of words."""

Outputs = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Evidence (B, K) ≥ 0 and embedding (B, D)."""


class Runtime(Protocol):
    """A network, loaded. Calls from several threads are safe."""

    @property
    def name(self) -> str:
        """For people: what runs it, such as `onnxruntime cpu`."""

    @property
    def batches(self) -> bool:
        """Whether one call with many rows costs less than many calls: on accelerators.

        On one CPU thread a row costs the same in any batch, so waiting for more only delays.
        """

    def __call__(self, batch: Batch) -> Outputs:
        """Return evidence (B, K) ≥ 0 and embedding (B, D) of a batch (B, ...), B ≥ 1."""


def stacked(batches: Sequence[Batch]) -> Batch:
    """Return the rows of all batches (b, ...) of one network as one batch (Σb, ...)."""
    if len(batches) == 1:
        return batches[0]
    return np.concatenate(batches)  # type: ignore[return-value]  # all of one kind


def in_parts(run: Callable[[Batch], Outputs], batch: Batch, most: int) -> Outputs:
    """Run a batch of any size on what takes at most so many rows at once."""
    if len(batch) <= most:
        return run(batch)
    parts = [run(batch[i : i + most]) for i in range(0, len(batch), most)]
    evidence, embedding = zip(*parts, strict=True)
    return np.concatenate(evidence), np.concatenate(embedding)
