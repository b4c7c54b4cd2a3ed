"""Writing a bundle's folder: whole, or not at all."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from engines.errors import CredenceError
from engines.manifest import MANIFEST


class ExportError(CredenceError):
    """A bundle that cannot be written."""

    def __init__(self, bundle: Path, problem: str) -> None:
        super().__init__(f"{bundle}: {problem}")
        self.bundle, self.problem = bundle, problem


@contextlib.contextmanager
def replacing(bundle: Path) -> Iterator[Path]:
    """Give an empty folder that becomes ``bundle`` at the end, if all goes well."""
    if bundle.exists() and not (bundle / MANIFEST).exists() and any(bundle.iterdir()):
        raise ExportError(bundle, f"holds something that is no bundle (no {MANIFEST})")
    try:
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
        new.rename(bundle)
    except OSError as error:
        raise ExportError(bundle, f"cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
