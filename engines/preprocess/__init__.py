"""From windows to tensors: the only copy, whose version stands in every engine."""

from engines.preprocess import face, sequence, text, voice

VERSIONS = {
    "face": face.VERSION,
    "voice": voice.VERSION,
    "text": text.VERSION,
    "multilabel": sequence.VERSION,
}
"""The preprocessing that this code runs, by the kind of engine."""
