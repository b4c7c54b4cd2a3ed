"""Plans of a tiny bundle, built and used."""

from pathlib import Path

from engines.build import build
from engines.engine import Engine, engine_manifest, open_engine
from engines.plans import Plan


def built(bundle: Path, target: str = "tensorrt-rtx", **how: object) -> Plan:
    manifest, digest = engine_manifest(bundle)
    return build(bundle, digest, manifest, target, **{"precision": "fp16", **how})  # type: ignore[arg-type]


def opened(bundle: Path, device: str = "auto", told: list[str] | None = None) -> Engine:
    lost = told.append if told is not None else (lambda _: None)
    return open_engine(bundle, device=device, lost=lost)
