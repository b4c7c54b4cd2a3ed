"""When packets of a live stream come, against the times that are stamped on them."""

import time
from dataclasses import replace

from streamer.datum import Datum
from streamer.flow import AudioChunk, Epoch, Media
from streamer.skew import Skew


class Arrivals:
    """Watches one connection: whether its sound and pictures are in step, and its clock right."""

    def __init__(self, *, tell: bool) -> None:
        """``tell`` where packets come as they are made; else only a clock that is set shows."""
        self._tell, self._skew, self._datum = tell, Skew(), Datum()

    def lost(self, media_s: float, *, sound: bool) -> bool:
        """Note a packet that has just come, by its time on the media clock.

        Return whether that clock does not tell the time of day any more.
        """
        came_s = time.monotonic()
        if self._tell:
            self._skew.took(media_s, came_s, sound=sound)
        return self._datum.lost(media_s if self._tell else came_s, came_s, time.time())

    def marked(self, item: Media) -> Media:
        """Return sound with its skew, and all else as it is. An epoch begins anew."""
        if isinstance(item, Epoch):
            self._skew, self._datum = Skew(), Datum()
        if isinstance(item, AudioChunk):
            return replace(item, skew_s=self._skew.skew_s)
        return item
