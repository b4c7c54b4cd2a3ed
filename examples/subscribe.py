"""Print Credence's events: python examples/subscribe.py mqtt://localhost:1883 [--count N]."""

import argparse
import asyncio
import json
import ssl
import sys
from collections import deque
from urllib.parse import unquote, urlsplit

import aiomqtt


def connect(url: str) -> aiomqtt.Client:
    """Return a client for mqtt://user:password@host:port, or mqtts:// for TLS."""
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise SystemExit("give the broker as mqtt://[user:password@]host[:port], or mqtts://")
    tls = parts.scheme == "mqtts"
    return aiomqtt.Client(
        parts.hostname,
        parts.port or (8883 if tls else 1883),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls_context=ssl.create_default_context() if tls else None,
    )


async def subscribe(url: str, count: int) -> None:
    """Print each event once; return after ``count`` of them, or never if it is negative."""
    seen: deque[tuple[str, str]] = deque(maxlen=1000)
    async with connect(url) as client:
        await client.subscribe("credence/+/+/event", qos=1)
        print("listening", file=sys.stderr, flush=True)
        async for message in client.messages:
            try:
                event = json.loads(message.payload)
                key = (event["source"], event["id"])
            except (ValueError, TypeError, KeyError):
                print(f"no event on {message.topic}", file=sys.stderr)
                continue
            if key in seen:  # at least once means sometimes twice
                continue
            seen.append(key)
            data = event["data"]
            verdict = "trusted" if data["trusted"] else f"not trusted ({data['reason']})"
            print(data["camera"], data["emotion"], data["confidence"], verdict, flush=True)
            count -= 1
            if count == 0:
                return


def main() -> None:
    """Read the command line and subscribe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="mqtt://[user:password@]host[:port], mqtts:// for TLS")
    parser.add_argument("--count", type=int, default=-1, metavar="N", help="stop after N events")
    options = parser.parse_args()
    try:
        asyncio.run(subscribe(options.url, options.count))
    except (aiomqtt.MqttError, ValueError) as error:
        place = options.url.rpartition("@")[2]
        sys.exit(f"{place}: {error}; is a broker running there, and are port and login right?")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
