"""From windows to tensors: the only copy, whose version stands in every engine."""

from engines.preprocess import face, text, voice

VERSIONS = {"face": face.VERSION, "voice": voice.VERSION, "text": text.VERSION}
"""The preprocessing that this code runs, by the kind of engine."""
