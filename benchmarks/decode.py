"""Decoding a live stream and nothing more: every picture and all sound, on one thread.

    python -m benchmarks.decode URL

Prints the stream's time in seconds, each time a second of it has passed.
"""

import sys

import av


def main(url: str) -> None:
    """Decode until the stream ends."""
    next_s = 1.0
    with av.open(url, options={"rtsp_transport": "tcp", "fpsprobesize": "0"}) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for packet in container.demux():
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame) and (frame.time or -1.0) >= next_s:
                    next_s += 1.0
                    print(frame.time, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
