"""MELD: utterances of a television series, with the emotion that raters saw and heard."""

import csv
from pathlib import Path
from typing import Final

from engines.errors import CredenceError
from engines.labels import emotion_named
from train.data.samples import DataError, Part, Samples, one_hot

SOURCE: Final = (
    "MELD, official train and dev parts: other dialogues, but the same main characters (GPL-3.0)"
)

_FILES: Final[dict[Part, str]] = {"train": "train_sent_emo.csv", "valid": "dev_sent_emo.csv"}
_LEADS: Final = ("Chandler", "Joey", "Monica", "Phoebe", "Rachel", "Ross")


def read(data: Path, part: Part) -> Samples:
    """Read the utterances of a part; no dialogue is in both parts, but the six leads are."""
    folder = data / "text" / "meld"
    try:
        with (folder / _FILES[part]).open(encoding="utf-8", newline="") as file:
            rows = [(r["Utterance"], r["Emotion"], r["Speaker"]) for r in csv.DictReader(file)]
        emotions = [emotion_named(label) for _, label, _ in rows]
    except (OSError, UnicodeDecodeError, KeyError, CredenceError) as error:
        raise DataError(
            folder, "holds no MELD; give --data the folder that holds text/meld"
        ) from error
    texts = tuple(text for text, _, _ in rows)
    strata = tuple(f"meld {'main' if who in _LEADS else 'other'} characters" for _, _, who in rows)
    return Samples(texts, one_hot(emotions), strata, texts, tuple(who for _, _, who in rows))
