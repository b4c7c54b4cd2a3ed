"""Settings as a user writes them, in the working directory."""

from pathlib import Path

from streamer.config import Config, ConfigError, load


def outcome(text: str | bytes, *overrides: str) -> Config | ConfigError:
    Path("cams.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        return load(Path("cams.yaml"), overrides)
    except ConfigError as error:
        return error
