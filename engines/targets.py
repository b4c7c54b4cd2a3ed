"""What a bundle can be built for, and what each needs. Nothing heavy is imported before use."""

import importlib
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Protocol, cast

from engines.errors import CredenceError
from engines.gpu import Gpu
from engines.job import Job, Precision
from engines.runtime import Runtime


class Backend(Protocol):
    """A module of `engines.runtime` that makes plans and runs them."""

    make: Callable[[Job], None]
    load: Callable[[Job], Runtime]


class MissingPackageError(CredenceError):
    """A target's libraries are not installed."""

    def __init__(self, target: "Target", package: str) -> None:
        super().__init__(
            f"{target.name} needs {package};"
            f" in Credence's clone: pip install -e '.[{target.extra}]'"
        )
        self.package = package


class UnknownTargetError(CredenceError):
    """A target or a precision that there is not."""


@dataclass(frozen=True, slots=True)
class Target:
    """One way to run a network other than the portable one."""

    name: str
    module: str
    """Of `engines.runtime`."""
    extra: str
    packages: tuple[str, ...]
    """Distributions that build and run it; their versions are part of a plan's key."""
    gpu: bool
    precisions: tuple[Precision, ...]
    """The best first."""

    def versions(self) -> dict[str, str]:
        """Return the versions of its packages; raise MissingPackageError without one.

        ONNX Runtime's too: it folds the network's constants, and plans are compared with it.
        """
        found = {}
        for package in ("onnxruntime", *self.packages):
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                raise MissingPackageError(self, package) from None
        return found

    def backend(self) -> Backend:
        """Import what makes and runs its plans. Takes seconds where that is torch."""
        return cast(Backend, importlib.import_module(f"engines.runtime.{self.module}"))


TARGETS: Final = {
    target.name: target
    for target in (
        Target(
            "tensorrt",
            "tensorrt",
            "tensorrt",
            ("torch", "torch-tensorrt", "tensorrt"),
            gpu=True,
            precisions=("fp16", "fp32"),
        ),
        Target(
            "tensorrt-rtx",
            "tensorrt_rtx",
            "tensorrt-rtx",
            ("torch", "tensorrt-rtx"),
            gpu=True,
            precisions=("fp16", "fp32", "int8"),
        ),
        Target("cuda", "cuda", "cuda", ("torch",), gpu=True, precisions=("fp16", "fp32")),
        Target(
            "openvino",
            "openvino",
            "openvino",
            ("openvino",),
            gpu=False,
            precisions=("fp32", "int8"),
        ),
        Target("onnx", "onnx", "train", (), gpu=False, precisions=("int8",)),
    )
}
"""In the order in which `auto` takes them: GPU before CPU."""


def target_named(name: str, precision: Precision | None = None) -> Target:
    """Return a target; raise UnknownTargetError where it is none or lacks the precision."""
    if name not in TARGETS:
        raise UnknownTargetError(f"{name!r} is no target; there are {', '.join(TARGETS)}")
    target = TARGETS[name]
    if precision and precision not in target.precisions:
        raise UnknownTargetError(f"{name} has no {precision}, only {', '.join(target.precisions)}")
    return target


def machine(gpu: Gpu | None) -> str:
    """Return what a plan is built for: the GPU and its architecture, or the processor."""
    if gpu:
        return f"{gpu.name} ({gpu.capability})"
    return f"{platform.machine()} {_processor()}".strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")
