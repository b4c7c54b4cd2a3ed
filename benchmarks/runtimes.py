"""What a batch costs each engine in every runtime that this machine has: medians, in one run.

    python -m benchmarks.runtimes [--batches 1 8 32 64] [--compile]

Every runtime of an engine is given the same rows in turns, so that a busy machine slows all of
them alike. CPU runtimes have one thread, as in a node, and are measured in CPU time, which other
programs do not lengthen; GPU runtimes in wall time, copies to the GPU and back included. "apart" is
the largest difference of a belief, or of a probability, from ONNX Runtime's.
Where there is a GPU, plans are built first for every target that is installed. `--compile` adds
torch.compile, which takes half a minute per engine.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.processes import machine
from engines.build import build, load
from engines.engine import BUNDLES, engine_manifest
from engines.errors import CredenceError
from engines.gpu import Gpu, gpu_named
from engines.job import Job, Precision
from engines.manifest import MODEL, NetworkManifest
from engines.parity import apart, inputs_for, reference_of
from engines.runtime import Batch, Outputs
from engines.runtime.guarded import first_line
from engines.runtime.onnx import OnnxCpu
from engines.targets import TARGETS
from engines.verdict import MODALITIES

ROUNDS = 7
WARM_UPS = 3

Run = Callable[[Batch], Outputs]


def main() -> None:
    """Print a table for each engine, and a line on the machine."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 64])
    asked.add_argument("--compile", action="store_true", help="also torch.compile")
    given = asked.parse_args()
    gpu, missing = None, ""
    try:
        gpu = gpu_named("cuda")
    except CredenceError as error:
        missing = str(error)
    for kind in (*MODALITIES, "multilabel"):
        runs: dict[str, Run | str] = {}
        for name, make in _runtimes(BUNDLES / kind, gpu, missing, compiled=given.compile):
            try:
                runs[name] = make()
            except Exception as error:  # whatever a library cannot do here, the others can
                runs[name] = first_line(error)
        _print(BUNDLES / kind, runs, given.batches)
    on = f"; {gpu.name}, driver {gpu.driver}" if gpu else ""
    print(f"{machine()}, one thread each{on}")


def _runtimes(
    folder: Path, gpu: Gpu | None, missing: str, *, compiled: bool
) -> Iterator[tuple[str, Callable[[], Run]]]:
    manifest, digest = engine_manifest(folder)

    def refused(why: str) -> Callable[[], Run]:
        def raising() -> Run:
            raise RuntimeError(why)

        return raising

    yield "ONNX Runtime, CPU", lambda: OnnxCpu(folder / MODEL, manifest.input.shape, manifest.given)
    yield "OpenVINO, CPU", lambda: _openvino(folder, manifest)
    yield "OpenVINO as it comes, CPU", lambda: _openvino_as_it_comes(folder)
    yield "torch eager, CPU", lambda: _eager(folder, manifest, "cpu")
    lazily = (
        (lambda: _compiled(folder, manifest)) if compiled else refused("left out, name --compile")
    )
    yield "torch.compile, CPU", lazily
    yield (
        "torch eager, GPU",
        (lambda: _eager(folder, manifest, "cuda")) if gpu else refused(missing),
    )
    for target in TARGETS.values():
        for precision in target.precisions if target.gpu else ():
            if precision == "int8":
                continue
            built = partial(_plan, folder, manifest, digest, target.name, precision, gpu)
            yield f"{target.name} {precision}, GPU", built if gpu else refused(missing)


def _openvino(folder: Path, manifest: NetworkManifest) -> Run:
    backend = TARGETS["openvino"].backend()
    with tempfile.TemporaryDirectory() as made:
        job = Job(folder, manifest.input.shape, "fp32", 64, None, Path(made), given=manifest.given)
        backend.make(job)
        return backend.load(job)


def _openvino_as_it_comes(folder: Path) -> Run:
    """Run it in the precision that it prefers, which on some processors is bfloat16."""
    import openvino

    core = openvino.Core()
    model = core.compile_model(core.read_model(folder / MODEL), "CPU", {"INFERENCE_NUM_THREADS": 1})
    request = model.create_infer_request()
    given = {output.get_any_name(): output for output in model.outputs}

    def run(batch: Batch) -> Outputs:
        made = request.infer({0: batch})
        return {name: made[output].copy() for name, output in given.items()}

    return run


def _plan(
    folder: Path,
    manifest: NetworkManifest,
    digest: str,
    target: str,
    precision: Precision,
    gpu: Gpu | None,
) -> Run:
    plan = build(folder, digest, manifest, target, precision, device="cuda", max_batch=64)
    print(f"{manifest.kind} {target} {precision}: {plan.parity or 'not built'}. {plan.refused}")
    if plan.refused:
        raise RuntimeError(f"refused: {plan.refused}")
    return load(folder, manifest, plan, gpu)


def _eager(folder: Path, manifest: NetworkManifest, device: str) -> Run:
    """Run the exported program as it is, as somebody would who has the checkpoint."""
    import torch
    from torch.export.passes import move_to_device_pass

    torch.set_num_threads(1)
    program = move_to_device_pass(torch.export.load(folder / "program.pt2"), device)
    return _on_torch(program.module(check_guards=False), manifest.given, device)


def _compiled(folder: Path, manifest: NetworkManifest) -> Run:
    import torch

    torch.set_num_threads(1)
    program = torch.export.load(folder / "program.pt2")
    network = torch.compile(program.module(check_guards=False), dynamic=True)
    return _on_torch(network, manifest.given, "cpu")


def _on_torch(network: Any, given: Sequence[str], device: str) -> Run:
    import torch

    def run(batch: Batch) -> Outputs:
        with torch.inference_mode():
            made = network(torch.from_numpy(batch).to(device))
            return {name: each.cpu().numpy() for name, each in zip(given, made, strict=False)}

    return run


def _print(folder: Path, runs: dict[str, Run | str], sizes: list[int]) -> None:
    manifest, _ = engine_manifest(folder)
    rows = inputs_for(reference_of(folder).inputs, parts=manifest.parts)
    at = 32 if 32 in sizes else sizes[-1]
    able = {name: run for name, run in runs.items() if not isinstance(run, str)}
    spent = {size: _milliseconds(able, rows[:size]) for size in sizes}
    heads = (*(f"ms, {size}" for size in sizes), f"rows/s, {sizes[-1]}", f"× eager, {at}", "apart")
    expected = next(iter(able.values()))(rows[: sizes[-1]])
    table = Table(f"{manifest.kind}, batch of", *heads)
    for name, run in able.items():
        eager = spent[at].get(f"torch eager, {name[-3:]}", float("nan"))
        table.add_row(
            name,
            *(f"{spent[size][name]:.2f}" for size in sizes),
            f"{sizes[-1] / spent[sizes[-1]][name] * 1e3:,.0f}",
            f"{eager / spent[at][name]:.1f}",
            f"{apart(run(rows[: sizes[-1]]), expected):.0e}",
        )
    Console(width=110).print(table)
    absent: dict[str, list[str]] = {}
    for name in runs.keys() - able.keys():
        absent.setdefault(str(runs[name]), []).append(name)
    for why, names in sorted(absent.items()):
        print(f"not measured: {'; '.join(sorted(names))}: {why}")


def _milliseconds(runs: dict[str, Run], batch: Batch) -> dict[str, float]:
    """Return the median of each runtime on a batch, measured in turns."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for i in range(WARM_UPS + ROUNDS):
        for name, run in runs.items():
            clock = time.process_time if name.endswith("CPU") else time.perf_counter
            began = clock()
            run(batch)
            if i >= WARM_UPS:
                taken[name].append((clock() - began) * 1e3)
    return {name: statistics.median(times) for name, times in taken.items()}


if __name__ == "__main__":
    main()
