"""The cache of device plans: a folder each, whole or not there at all, built by one process."""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError

from engines.errors import CredenceError
from engines.job import Precision
from engines.manifest import Kind, sha256
from engines.parity import Parity

RECORD = "plan.json"
_MAKING = ".making-"
"""Begins the name of a folder in which a plan is made; the plan's follows, then a random one."""

BUILDER = 2
"""Counts the ways in which this code has built and compared plans."""


class PlanError(CredenceError):
    """A plan cannot be used or made. What runs instead is another runtime."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Key(_Part):
    """What a plan is for. A plan of another key is another plan."""

    bundle: str
    """The bundle's hash."""
    kind: Kind
    target: str
    precision: Precision
    max_batch: int
    machine: str
    """The GPU's name and architecture, or the processor."""
    driver: str
    """Empty on a CPU."""
    versions: dict[str, str]
    """Of the libraries that build it, run it, and that it is compared with."""
    policy: str
    """The hash of the policy whose verdicts are compared."""
    builder: int = BUILDER
    data: str = ""
    """SHA-256 of what it was calibrated on."""
    rewriter: str = ""
    """The version of onnx, where that gave the network fewer bits."""

    @property
    def name(self) -> str:
        """Of the plan's folder."""
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]
        return f"{self.kind}-{self.target}-{self.precision}-{digest}"

    def fits(self, other: "Key") -> bool:
        """Whether two keys differ at most in how the network is built."""
        how = {"precision", "max_batch", "data", "rewriter"}
        return self.model_dump(exclude=how) == other.model_dump(exclude=how)


class Plan(_Part):
    """What plan.json says."""

    format: int = 1
    key: Key
    files: dict[str, str] = {}
    """SHA-256 of every other file in the folder, by name."""
    parity: Parity | None = None
    """None where it could not even be built."""
    refused: str = ""
    """Why it must not be used; empty where it may."""


def root() -> Path:
    """Return the cache's folder, which may not exist yet."""
    return platformdirs.user_cache_path("credence") / "plans"


def place(key: Key) -> Path:
    """Return the folder of a plan."""
    return root() / key.name


def read(folder: Path) -> Plan | None:
    """Return the plan in a folder, None where none is; raise PlanError where it is damaged."""
    if plan := _recorded(folder):
        check(folder, plan)
    return plan


def _recorded(folder: Path) -> Plan | None:
    try:
        return Plan.model_validate(json.loads((folder / RECORD).read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError, ValueError, RecursionError) as error:
        raise PlanError(
            f"{folder}: {RECORD} is damaged; delete the folder, or build the plan again"
        ) from error


def check(folder: Path, plan: Plan) -> None:
    """Raise PlanError unless all files of the plan in a folder are whole."""
    for name, expected in plan.files.items():
        try:
            whole = sha256(folder / name) == expected
        except OSError:
            whole = False
        if not whole:
            raise PlanError(f"{folder}: {name} was changed or cut short; build the plan again")


def cached(bundle: str, target: str) -> list[Plan]:
    """Return the plans of a bundle for a target, of any machine, not refused; files unchecked."""
    found = []
    for record in sorted(root().glob(f"*-{target}-*/{RECORD}")):
        with suppress(PlanError):  # nobody can tell whose it was
            plan = _recorded(record.parent)
            if plan and (plan.key.bundle, plan.key.target, plan.refused) == (bundle, target, ""):
                found.append(plan)
    return found


def legible(kind: Kind, target: str) -> None:
    """Raise PlanError where the record of any plan of a kind of engine for a target is damaged."""
    for record in sorted(root().glob(f"{kind}-{target}-*/{RECORD}")):
        _recorded(record.parent)


@contextmanager
def locked(key: Key, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a plan's lock; while another process builds it, say so once and wait.

    Raises PlanError where the cache cannot be written.
    """
    try:
        root().mkdir(parents=True, exist_ok=True)
        file = _lock_of(key.name).open("w")
    except OSError as error:
        raise _unwritable(error) from error
    with file:
        try:
            _lock(file, waiting)
        except OSError as error:  # some shared folders have no locks
            raise _unwritable(error) from error
        yield


def _lock(file: IO[str], waiting: Callable[[], None]) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting()
        fcntl.flock(file, fcntl.LOCK_EX)


def _lock_of(name: str) -> Path:
    return root() / f".{name}.lock"


@contextmanager
def making(key: Key) -> Iterator[Path]:
    """Give an empty folder inside the cache, gone at the end unless `put` moved it.

    Needs the plan's lock. Raises PlanError where the cache cannot be written, or something that is
    no folder lies in the plan's place.
    """
    _sweep(key)
    if os.path.lexists(place(key)) and (place(key).is_symlink() or not place(key).is_dir()):
        raise PlanError(f"{place(key)} is in the way of a plan, and is no folder; delete it")
    try:
        made = Path(tempfile.mkdtemp(prefix=f"{_MAKING}{key.name}-", dir=root()))
    except OSError as error:
        raise _unwritable(error) from error
    try:
        yield made
    except OSError as error:
        raise _unwritable(error) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _sweep(key: Key) -> None:
    """Delete what builds that were killed have left: nobody holds the locks of their plans."""
    for left in root().glob(f"{_MAKING}*"):
        name = left.name.removeprefix(_MAKING).rpartition("-")[0]
        if name == key.name or not _held(name):
            shutil.rmtree(left, ignore_errors=True)


def _held(name: str) -> bool:
    try:
        with _lock_of(name).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def put(made: Path, plan: Plan) -> Plan:
    """Move a folder with the plan's files to its place; a refused plan keeps its record only."""
    files = [] if plan.refused else [path for path in made.iterdir() if path.is_file()]
    for path in set(made.iterdir()) - set(files):
        path.unlink()
    whole = plan.model_copy(update={"files": {path.name: sha256(path) for path in files}})
    (made / RECORD).write_text(whole.model_dump_json(indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(place(plan.key), ignore_errors=True)
    made.rename(place(plan.key))
    return whole


def _unwritable(error: OSError) -> PlanError:
    return PlanError(
        f"{root()} cannot be written ({error.strerror or error});"
        f" free it, or name another cache in XDG_CACHE_HOME"
    )
