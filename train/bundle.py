"""Writing a bundle's folder: whole, or not at all."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from engines.errors import CredenceError
from engines.manifest import MANIFEST, BrokenBundleError, Kind, read_manifest


class ExportError(CredenceError):
    """A bundle that cannot be written."""

    def __init__(self, bundle: Path, problem: str) -> None:
        super().__init__(f"{bundle}: {problem}")
        self.bundle, self.problem = bundle, problem


@contextlib.contextmanager
def replacing(bundle: Path, kind: Kind | Literal["policy"]) -> Iterator[Path]:
    """Give an empty folder that becomes ``bundle`` at the end, if all goes well.

    Raises ExportError where anything but an older bundle of the same kind is in the way.
    """
    try:
        check_place(bundle, kind)
        bundle.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{bundle.name}-", dir=bundle.parent))
    except OSError as error:
        raise ExportError(bundle, f"cannot be written ({error.strerror})") from error
    try:
        new, old = beside / "new", beside / "old"
        new.mkdir()
        yield new
        if bundle.exists():
            bundle.rename(old)
        _put(new, bundle, old)
    except OSError as error:
        raise ExportError(bundle, f"cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def check_place(bundle: Path, kind: str) -> None:
    """Raise ExportError where anything but an older bundle of the same kind is in the way."""
    if not bundle.exists():
        return
    if not bundle.is_dir():
        raise ExportError(bundle, "is a file; name a folder")
    if not (bundle / MANIFEST).exists() and any(bundle.iterdir()):
        raise ExportError(bundle, f"holds something that is no bundle (no {MANIFEST})")
    with contextlib.suppress(BrokenBundleError):  # a damaged one is there to be replaced
        found = read_manifest(bundle)[0].kind
        if found != kind:
            raise ExportError(bundle, f"holds a bundle of kind {found}, not {kind}; name another")


def _put(new: Path, bundle: Path, old: Path) -> None:
    try:
        new.rename(bundle)
    except OSError:
        if old.exists():
            old.rename(bundle)
        raise
