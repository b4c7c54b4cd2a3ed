"""A Whisper small enough to be tested with, trained on two sentences."""
