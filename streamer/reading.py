"""The values of metrics at one time, and sums over those that have the same labels."""

from dataclasses import dataclass

from prometheus_client.samples import Sample


@dataclass(frozen=True, slots=True)
class Reading:
    """The values of all metrics at one time."""

    samples: list[Sample]

    def total(self, name: str, **labels: str) -> int:
        """Return the sum of a counter over all that have these labels."""
        return int(sum(sample.value for sample in self._of(name, labels)))

    def by(self, label: str, name: str, **labels: str) -> dict[str, int]:
        """Return a counter by the values of one label."""
        return {each.labels[label]: int(each.value) for each in self._of(name, labels)}

    def value(self, name: str) -> float | None:
        """Return what has no labels; None where this system does not tell."""
        return next((sample.value for sample in self._of(name, {})), None)

    def _of(self, name: str, labels: dict[str, str]) -> list[Sample]:
        return [
            each
            for each in self.samples
            if each.name == name and labels.items() <= each.labels.items()
        ]
