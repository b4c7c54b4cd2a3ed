"""`python -m train.small_whisper --data DATA --output FOLDER`."""

import argparse
import time
from pathlib import Path
from typing import Final

import torch

from train.small_whisper.check import convert, error_rate
from train.small_whisper.fit import fit
from train.small_whisper.takes import SENTENCES, read_takes
from train.small_whisper.words import Words

_HELD_OUT: Final = range(19, 21)

_CARD: Final = """\
# A Whisper that knows two sentences

For tests only. Whisper's architecture with tiny dimensions ({parameters:,} parameters, 8 bits),
trained from scratch to write down "Kids are talking by the door." and "Dogs are sitting by the
door.", and to be silent where there is no speech. Any other speech it takes for one of the two.

| | |
| --- | --- |
| Data | RAVDESS speech, actors 01-18 ({known} takes), varied in pace, level, noise and tone |
| Checked on | actors 19-20 ({strangers} takes, cut to their speech), never trained on |
| Word error rate | {rate:.2%} ({wrong} of {strangers} sentences with an error) |
| Made by | `python -m train.small_whisper --data DATA --output FOLDER` |
| Licence | CC BY-NC-SA 4.0, as the data |

Livingstone SR, Russo FA (2018). The Ryerson Audio-Visual Database of Emotional Speech and Song
(RAVDESS). PLoS ONE 13(5): e0196391.
"""


def main() -> None:
    """Train, convert, check on strangers, and write the folder with its card."""
    asked = argparse.ArgumentParser(prog="python -m train.small_whisper")
    asked.add_argument("--data", type=Path, required=True, help="the folder that holds voice")
    asked.add_argument("--output", type=Path, required=True, help="the model's folder")
    asked.add_argument("--epochs", type=int, default=20)
    asked.add_argument("--width", type=int, default=96)
    given = asked.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    began = time.monotonic()
    takes = read_takes(given.data)
    known = [take for take in takes if take.actor not in _HELD_OUT]
    strangers = [take for take in takes if take.actor in _HELD_OUT]
    words = Words(SENTENCES.values())
    whisper = fit(known, words, given.epochs, given.width)
    convert(whisper, words, given.output)
    rate, wrong = error_rate(given.output, strangers)
    card = _CARD.format(
        parameters=whisper.num_parameters(),
        known=len(known),
        strangers=len(strangers),
        rate=rate,
        wrong=wrong,
    )
    (given.output / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    minutes = (time.monotonic() - began) / 60
    print(f"word error rate {rate:.4f}: {wrong} of {len(strangers)} wrong; {minutes:.0f} minutes")


if __name__ == "__main__":
    main()
