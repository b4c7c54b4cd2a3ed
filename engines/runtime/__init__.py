"""What runs a network. Each runtime takes a batch and returns what the network gives, by name."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

Batch = npt.NDArray[np.float32] | npt.NDArray[np.int64]
"""What a network is given (B, ...): pictures of face or voice, or buckets of words."""

Outputs = dict[str, npt.NDArray[np.float32]]
"""What a network gives (B, ...), by name: its answers, and what `INNER` names."""

ENCODED: Final = ("evidence", "embedding", "sequence")
"""What an encoder gives, in this order: evidence (B, K) ≥ 0, and `INNER`; faces no sequence."""

LABELLED: Final = ("probability", "spread", "embedding")
"""What a multilabel network gives, in this order: probability (B, K) in [0, 1], spread (B, K) ≥ 0,
and of `INNER` the embedding."""

INNER: Final = ("embedding", "sequence")
"""What a network saw before it answered: of a whole row (B, D), and along time (B, T, C)."""


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
        """Return what the network gives for a batch (B, ...), B ≥ 1."""


def stacked(batches: Sequence[Batch]) -> Batch:
    """Return the rows of all batches (b, ...) of one network as one batch (Σb, ...)."""
    if len(batches) == 1:
        return batches[0]
    return np.concatenate(batches)  # type: ignore[return-value]  # all of one kind


def in_parts(run: Callable[[Batch], Outputs], batch: Batch, most: int) -> Outputs:
    """Run a batch of any size on what takes at most so many rows at once."""
    if len(batch) <= most:
        return run(batch)
    return joined([run(batch[i : i + most]) for i in range(0, len(batch), most)])


def joined(parts: Sequence[Outputs]) -> Outputs:
    """Return what a network gave for several batches as if they had been one."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def sound(outputs: Outputs) -> bool:
    """Tell whether all answers are numbers, none of them negative, and no probability above 1."""
    answers = {name: made for name, made in outputs.items() if name not in INNER}
    most = {name: 1.0 if name == "probability" else np.finfo(np.float32).max for name in answers}
    return all(((made >= 0) & (made <= most[name])).all() for name, made in answers.items())
