"""What runs a network. Each runtime takes a batch and returns evidence and embedding."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Batch = npt.NDArray[np.float32] | npt.NDArray[np.int64]
"""What a network is given (B, ...): pictures of face or voice, or buckets of words."""


Outputs = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Evidence (B, K) ≥ 0 and embedding (B, D)."""


class Runtime(Protocol):
    """A network, loaded. Calls from several threads are safe."""

    name: str
    """For people: what runs it, such as `onnxruntime cpu`."""
    batches: bool
    """Whether a call with many rows costs less than as many calls: on accelerators. On ONNX Runtime
    with one thread a row costs the same in any batch, so waiting for more rows only delays."""

    def __call__(self, batch: Batch) -> Outputs:
        """Return evidence (B, K) ≥ 0 and embedding (B, D) of a batch (B, ...), B ≥ 1."""
