"""The label-matched corpus: moments of a face, a voice and a text, with several emotions each.

Encoders are fitted to what they were trained on, so what they make of it is surer than it will be
of anybody else. Hence half of the faces and texts that they never met is trained on as well; of
the others one half chooses (`valid`), one measures (`test`). Of the voices there are only four
actors whom the encoder never met: two choose, two measure. Ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

import numpy as np

from engines.engine import open_engine
from engines.labels import EMOTIONS
from engines.manifest import BUNDLES, Modality
from engines.verdict import MODALITIES
from train.checks import Bools, Indices
from train.data.samples import fold_of
from train.data.sequences import Parts, Sequences
from train.multilabel.encode import Encoded, encode
from train.multilabel.pair import pair
from train.multilabel.shown import READERS, Shown
from train.multilabel.spoil import versions

Use = Literal["train", "valid", "test"]

Trouble = Literal["corrupted", "absent", "swapped"]
"""A corruption of `spoil`; nothing at all; or a sample of another moment that shows none of this
one's emotions, as where somebody else's voice or words are taken for a person's own."""

TROUBLES: Final[tuple[Trouble, ...]] = ("corrupted", "absent", "swapped")

SHARE: Final = 0.3
"""The chance that a sample of a moment is in trouble, where moments are spoilt."""

COUNTS: Final[Mapping[Use, int]] = {"train": 48_000, "valid": 3000, "test": 3000}
"""How many moments there are of each use."""

_MET: Final[Mapping[Modality, int]] = {"face": 4000, "voice": 1000, "text": 8000}
"""The most samples that an encoder was trained on which are trained on again."""

_QUARTERS: Final[Mapping[Modality, Mapping[Use, tuple[int, ...]]]] = {
    "face": {"train": (0, 1), "valid": (2,), "test": (3,)},
    "voice": {"train": (), "valid": (0, 1), "test": (2, 3)},
    "text": {"train": (0, 1), "valid": (2,), "test": (3,)},
}
"""Which quarters of the people that an encoder never met are of which use."""

_HELD: Final[tuple[Use, Use]] = ("valid", "test")
_TRIES: Final = 20
_CORRUPTED_VERSIONS: Final[Mapping[Modality, int]] = {"face": 2, "voice": 6, "text": 2}


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Samples of one modality, each clean and corrupted, as the encoder has them."""

    shown: Shown
    encoded: Encoded
    """Version v of sample i of N is entry v * N + i; version 0 is clean."""


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """N moments: a sample of every modality, as it is, corrupted or absent."""

    pools: Mapping[Modality, Pool]
    sets: Bools
    """(N, 7) the emotions that are shown."""
    samples: Mapping[Modality, Indices]
    """By modality, (N,) the sample."""
    entries: Mapping[Modality, Indices]
    """By modality, (N,) the entry of the pool; -1 where the sample is absent."""

    def spoilt(self, share: float, seed: int, troubles: Sequence[Trouble] = TROUBLES) -> Self:
        """Return the same moments, each sample in trouble with a chance of ``share``.

        Every trouble is as likely. A face stays where all would be absent.
        """
        rng = np.random.default_rng(seed)
        entries = {}
        for kind, rows in self.samples.items():
            worse = np.stack([self._in_trouble(kind, trouble, rng) for trouble in troubles])
            which = rng.integers(len(troubles), size=len(rows))
            hit = rng.random(len(rows)) < share
            entries[kind] = np.where(hit, worse[which, np.arange(len(rows))], rows)
        nothing = np.all([each < 0 for each in entries.values()], axis=0)
        entries["face"] = np.where(nothing, self.samples["face"], entries["face"])
        return type(self)(self.pools, self.sets, self.samples, entries)

    def _in_trouble(self, kind: Modality, trouble: Trouble, rng: np.random.Generator) -> Indices:
        rows, own = self.samples[kind], self.pools[kind].shown.sets
        match trouble:
            case "corrupted":
                version = rng.integers(1, _CORRUPTED_VERSIONS[kind] + 1, size=len(rows))
                return np.asarray(rows + version * len(own))
            case "absent":
                return np.full(len(rows), -1)
            case "swapped":
                others = rows[rng.permuted(np.tile(np.arange(len(rows)), (_TRIES, 1)), axis=1)]
                apart = ~(own[others] & self.sets).any(axis=2)  # (tries, N)
                return np.asarray(others[apart.argmax(axis=0), np.arange(len(rows))])

    @property
    def takes(self) -> Indices:
        """(N,) the voice of each: the modality that has the fewest, so figures hang on it most."""
        return self.samples["voice"]

    def sequences(self, name: str) -> Sequences:
        """Return them as LDDU is given them; their names begin with one."""
        return Sequences(
            {kind: pool.encoded.sequences for kind, pool in self.pools.items()},
            {kind: rows.astype(np.int64) for kind, rows in self.entries.items()},
            self.sets.astype(np.float32),
            EMOTIONS,
            tuple(f"{name} {i:05}" for i in range(len(self.sets))),
        )


def read(data: Path) -> Parts:
    """Make the corpus with the shipped encoders: minutes at first, then from the user's cache.

    In training every moment is spoilt, in the other parts every other one. Raises DataError.
    """
    held = [mixed(moments(data, use)).sequences(use) for use in _HELD]
    return Parts(trained_on(data).sequences("train"), *held)


def trained_on(data: Path) -> Moments:
    """Return the moments that all contestants are trained on: spoilt."""
    return moments(data, "train").spoilt(SHARE, seed=1)


def moments(data: Path, use: Use) -> Moments:
    """Return the moments of a use, clean."""
    pools = {kind: _pool(data, kind, use) for kind in MODALITIES}
    seed = list(COUNTS).index(use)
    sets, samples = pair({k: pool.shown.sets for k, pool in pools.items()}, COUNTS[use], seed)
    return Moments(pools, sets, samples, samples)


def mixed(clean: Moments) -> Moments:
    """Return the even moments clean and the odd ones spoilt."""
    spoilt = clean.spoilt(SHARE, seed=0)
    odd = np.arange(len(clean.sets)) % 2 == 1
    entries = {
        kind: np.where(odd, spoilt.entries[kind], rows) for kind, rows in clean.entries.items()
    }
    return Moments(clean.pools, clean.sets, clean.samples, entries)


def _pool(data: Path, kind: Modality, use: Use) -> Pool:
    shown = _chosen(data, kind, use)
    rng = np.random.default_rng(len(shown.inputs))
    asked = versions(len(shown.inputs), kind, _CORRUPTED_VERSIONS[kind], rng)
    return Pool(shown, encode(open_engine(BUNDLES / kind), shown, asked, data, use))


def _chosen(data: Path, kind: Modality, use: Use) -> Shown:
    """Return the samples of a use."""
    unmet = READERS[kind](data, "valid")
    quarter = fold_of(unmet.people, 4)
    unmet = unmet.take(np.flatnonzero(np.isin(quarter, _QUARTERS[kind][use])))
    if use != "train":
        return unmet
    met = READERS[kind](data, "train")
    rows = np.random.default_rng(0).permutation(len(met.inputs))[: _MET[kind]]
    return met.take(np.sort(rows)) + unmet
