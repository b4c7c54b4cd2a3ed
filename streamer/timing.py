"""Networks whose calls are timed."""

import time
from dataclasses import dataclass

from prometheus_client import Histogram

from engines.runtime import Batch, Outputs, Runtime


@dataclass(frozen=True, slots=True, eq=False)
class Timed:
    """A runtime whose calls are timed."""

    runtime: Runtime
    into: Histogram

    @property
    def name(self) -> str:
        """As of the runtime."""
        return self.runtime.name

    @property
    def batches(self) -> bool:
        """As of the runtime."""
        return self.runtime.batches

    def __call__(self, batch: Batch) -> Outputs:
        """Do as the runtime."""
        began_s = time.perf_counter()
        outputs = self.runtime(batch)
        self.into.observe(time.perf_counter() - began_s)
        return outputs
