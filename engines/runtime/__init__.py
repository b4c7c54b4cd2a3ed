"""What runs a network. Each runtime takes a batch and returns evidence and embedding."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Batch = npt.NDArray[np.float32] | npt.NDArray[np.int64]
"""What a network is given (B, ...): pictures of face or voice, or buckets of words."""


class Runtime(Protocol):
    """A network, loaded."""

    name: str
    """For people: what runs it, such as `onnxruntime cpu`."""

    def __call__(self, batch: Batch) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return evidence (B, K) ≥ 0 and embedding (B, D) of a batch (B, ...)."""
