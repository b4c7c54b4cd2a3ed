"""Words: English text as hashed word pieces, without a vocabulary; the only copy."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from engines.window import TextWindow

VERSION: Final = "text-1"

WORDS: Final = 48
"""What the network sees at once; longer text is cut into even rows."""
PIECES: Final = 28
"""Buckets a word: itself, it with the word before, and its character n-grams."""
BUCKETS: Final = 2**15
"""Bucket 0 is padding."""

_GRAMS: Final = (3, 4, 5)
_LONGEST: Final = 24
"""Letters of a word that are looked at."""
_ELONGATED: Final = re.compile(r"(.)\1{2,}")
_APOSTROPHES: Final = str.maketrans("\u2018\u2019\u02bc\u00b4`\uff07", "''''''")
_TOKEN: Final = re.compile(
    r"(?P<smile>[:;=]['-]?[)\]dp](?!\w))"
    r"|(?P<frown>[:=]['-]?[(\[/](?!\w))"
    r"|(?P<word>[^\W_]+(?:'[^\W_]+)*)"
    r"|(?P<mark>[!?])"
    r"|(?P<symbol>[^\w\s!-~])"
)


def tensor(window: TextWindow) -> npt.NDArray[np.int64]:
    """Return the buckets (n, 48 * 28), n ≥ 1, of what was said; all 0 where nothing was."""
    return buckets(words(window.text))


def words(text: str) -> list[str]:
    """Return the words of a text in small letters, and `!`, `?`, smileys and emoji as words.

    Other punctuation goes: whether it is there depends on who wrote the text down.
    """
    plain = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).lower()
    plain = _ELONGATED.sub(r"\1\1", plain.translate(_APOSTROPHES))
    return list(_words(plain))


def buckets(said: list[str]) -> npt.NDArray[np.int64]:
    """Return the buckets (n, 48 * 28), n ≥ 1, of words, in [0, 32768)."""
    count = max(1, -(-len(said) // WORDS))
    rows = np.zeros((count, WORDS, PIECES), dtype=np.int64)
    each = -(-len(said) // count)
    before = ""
    for i, word in enumerate(said):
        pieces = (_bucket(f"{before} {word}"), *_pieces(word))
        rows[i // each, i % each, : len(pieces)] = pieces
        before = word
    return rows.reshape(count, WORDS * PIECES)


def _words(plain: str) -> Iterator[str]:
    last = ""
    for match in _TOKEN.finditer(plain):
        kind = match.lastgroup
        token = f"<{kind}>" if kind in ("smile", "frown") else match[0]
        if kind == "symbol" and unicodedata.category(token) not in ("So", "Sm", "Sc"):
            continue
        if kind == "word" or token != last:
            yield token
        last = token


@lru_cache(maxsize=1 << 16)
def _pieces(word: str) -> tuple[int, ...]:
    """Return the buckets of a word and of its n-grams, `<` and `>` at its ends; at most 27."""
    edged = f"<{word[:_LONGEST]}>"
    grams = [edged[i : i + n] for n in _GRAMS for i in range(len(edged) - n + 1)]
    return tuple(map(_bucket, [word, *grams][: PIECES - 1]))


def _bucket(piece: str) -> int:
    # The low bits of a CRC depend linearly on the text; a multiplication spreads them.
    spread = crc32(piece.encode("utf-8", "surrogatepass")) * 0x9E3779B1 & 0xFFFFFFFF
    return 1 + spread % (BUCKETS - 1)
