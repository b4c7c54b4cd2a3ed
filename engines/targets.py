"""What a bundle can be built for, and what each needs. Nothing heavy is imported before use."""

import importlib
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Protocol, cast

from engines.errors import CredenceError
from engines.gpu import Gpu, gpu_named
from engines.job import Job, Precision
from engines.processors import processor_name
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


class MissingOnnxError(CredenceError):
    """The package that rewrites networks is absent."""

    def __init__(self, precision: Precision) -> None:
        super().__init__(f"{precision} needs the package onnx; pip install onnx")


class UnknownTargetError(CredenceError):
    """A target that there is not, or not in this precision, or not on this device."""


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
    rewritten: bool
    """Whether `engines.precision` gives its networks fewer bits, and not the target itself."""

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

    def rewriter(self, precision: Precision) -> str:
        """Return the version of onnx where that makes the network, else nothing.

        Raises MissingOnnxError where it is absent.
        """
        if not self.rewritten or precision == "fp32":
            return ""
        try:
            return version("onnx")
        except PackageNotFoundError:
            raise MissingOnnxError(precision) from None

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
            rewritten=False,
        ),
        Target(
            "tensorrt-rtx",
            "tensorrt_rtx",
            "tensorrt-rtx",
            ("torch", "tensorrt-rtx"),
            gpu=True,
            precisions=("fp16", "fp32", "int8"),
            rewritten=True,
        ),
        Target(
            "cuda",
            "cuda",
            "cuda",
            ("torch",),
            gpu=True,
            precisions=("fp16", "fp32"),
            rewritten=False,
        ),
        Target(
            "openvino",
            "openvino",
            "openvino",
            ("openvino",),
            gpu=False,
            precisions=("fp32", "int8"),
            rewritten=True,
        ),
        Target("onnx", "onnx", "train", (), gpu=False, precisions=("int8",), rewritten=True),
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


def gpu_for(target: Target, device: str) -> Gpu | None:
    """Return the GPU that a target runs on, None for one on the CPU.

    Raises UnknownTargetError where it does not run on this kind of device, NoGpuError without it.
    """
    if target.gpu and device == "cpu":
        on_cpu = ", ".join(other.name for other in TARGETS.values() if not other.gpu)
        raise UnknownTargetError(f"{target.name} runs on a GPU; on the CPU there are {on_cpu}")
    if not target.gpu and device.startswith("cuda"):
        on_gpu = ", ".join(other.name for other in TARGETS.values() if other.gpu)
        raise UnknownTargetError(f"{target.name} runs on the CPU; on a GPU there are {on_gpu}")
    return gpu_named(device) if target.gpu else None


def machine(gpu: Gpu | None) -> str:
    """Return what a plan is built for: the GPU and its architecture, or the processor."""
    if gpu:
        return f"{gpu.name} ({gpu.capability})"
    return f"{platform.machine()} {processor_name()}".strip()
