"""The NVIDIA GPUs of this machine, asked of the driver itself: importing torch takes seconds."""

import ctypes
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engines.errors import CredenceError

_MAJOR: Final = 75
_MINOR: Final = 76
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR."""


class NoGpuError(CredenceError):
    """The GPU that is asked for is not there."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One NVIDIA GPU."""

    index: int
    name: str
    capability: str
    """Of its architecture, such as 9.0."""
    driver: str
    """The driver's version."""


def device_named(text: str) -> str:
    """Return the device if it is one; raise ValueError."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,2})?", text):
        raise ValueError("must be auto, cpu, cuda or cuda:N")
    return text


def gpu_named(device: str) -> Gpu:
    """Return the GPU that `auto`, `cuda` or `cuda:N` means; raise NoGpuError where it is not."""
    if device == "cpu":
        raise NoGpuError("cpu is no GPU; name auto, cuda or cuda:N")
    found = gpus()
    if not found:
        raise NoGpuError("there is no NVIDIA GPU with a driver on this machine")
    index = int(device.partition(":")[2] or 0)
    if index >= len(found):
        raise NoGpuError(f"there is no GPU {index}, only {len(found)} (cuda:0 is the first)")
    return found[index]


def gpus() -> tuple[Gpu, ...]:
    """Return every GPU that the driver offers, none without a driver."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return ()
    count = ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return ()
    return tuple(_gpu(cuda, index) for index in range(count.value))


def _gpu(cuda: ctypes.CDLL, index: int) -> Gpu:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(100)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    said = name.value.decode(errors="replace")
    return Gpu(index, said, f"{major.value}.{minor.value}", _driver(cuda))


def _driver(cuda: ctypes.CDLL) -> str:
    with suppress(OSError):
        return Path("/sys/module/nvidia/version").read_text(encoding="utf-8").strip()
    version = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    return f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
