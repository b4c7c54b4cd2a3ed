"""Which runtime runs a bundle on this machine, and why not a better one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engines import plans
from engines.build import MAX_BATCH, Tell, build, key_of, load
from engines.errors import CredenceError
from engines.gpu import Gpu, gpu_named
from engines.job import Precision
from engines.manifest import NetworkManifest
from engines.plans import Plan, PlanError
from engines.runtime import Runtime
from engines.runtime.guarded import Guarded
from engines.targets import TARGETS, Target

_FEWEST_BITS: tuple[Precision, ...] = ("int8", "fp16", "fp32")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A runtime, and the reasons for it."""

    runtime: Runtime
    why: str
    """In a line, for people: what runs, and why nothing better."""
    lacking: bool = False
    """Whether a plan that there is, or a GPU that is asked for by name, cannot be used."""


def choose(
    folder: Path,
    bundle: str,
    manifest: NetworkManifest,
    portable: Runtime,
    device: str,
    *,
    tell: Tell,
    lost: Callable[[str], None],
) -> Chosen:
    """Return the best runtime for the bundle in ``folder`` on ``device``: auto, cpu or cuda[:N].

    On a GPU a missing plan is built; on a CPU only what was built ahead is used. Never raises for
    want of something better: then it is ``portable``.
    """
    reasons: list[str] = []
    lacking = device.startswith("cuda")
    for target, gpu in _candidates(device, reasons.append):
        try:
            plan = _plan(folder, bundle, manifest, target, gpu, tell)
            if plan is None:
                continue
            runtime = load(folder, manifest, plan, gpu)
        except CredenceError as error:
            reasons.append(f"{target.name}: {error}")
            lacking |= gpu is None or isinstance(error, PlanError)
            continue
        parity = f" ({plan.parity})" if plan.parity else ""
        guarded = Guarded(runtime, portable, lost)
        why = _line(f"{runtime.name}{parity}", reasons)
        return Chosen(guarded, why, lacking and gpu is None)
    return Chosen(portable, _line(portable.name, reasons), lacking)


def _candidates(device: str, because: Callable[[str], None]) -> Iterator[tuple[Target, Gpu | None]]:
    """Give targets, the best first, and tell why there is no GPU among them."""
    if device != "cpu":
        try:
            gpu = gpu_named(device)
        except CredenceError as error:
            because(str(error))
        else:
            yield from ((target, gpu) for target in TARGETS.values() if target.gpu)
    yield from ((target, None) for target in TARGETS.values() if not target.gpu)


def _plan(
    folder: Path,
    bundle: str,
    manifest: NetworkManifest,
    target: Target,
    gpu: Gpu | None,
    tell: Tell,
) -> Plan | None:
    """Return a usable plan: from the cache, or built where there is a GPU; None without one."""
    if (plan := _cached(bundle, manifest, target, gpu)) or gpu is None:
        return plan
    refusals = []
    for precision in target.precisions:
        if precision != "int8":  # needs data
            plan = build(
                folder, bundle, manifest, target.name, precision, device=f"cuda:{gpu.index}",
                tell=tell,
            )  # fmt: skip
            if not plan.refused:
                return plan
            refusals.append(f"{precision}: {plan.refused}")
    raise PlanError("; ".join(refusals))


def _cached(bundle: str, manifest: NetworkManifest, target: Target, gpu: Gpu | None) -> Plan | None:
    """Return the cached plan of the fewest bits and largest batch; PlanError if all are foreign."""
    found = plans.cached(bundle, target.name)
    if not found:
        if gpu is None:  # else it is built again
            plans.legible(manifest.kind, target.name)
        return None
    own = key_of(bundle, manifest, target, "fp32", max_batch=MAX_BATCH, gpu=gpu)
    fitting = [plan for plan in found if plan.key.fits(own)]
    if not fitting and gpu is None:
        raise PlanError(
            f"its plan was built for {found[0].key.machine} or other versions;"
            f" build it again with credence-engines build"
        )
    order = {precision: i for i, precision in enumerate(_FEWEST_BITS)}
    fitting.sort(key=lambda plan: (order[plan.key.precision], -plan.key.max_batch))
    if not fitting:
        return None
    best = fitting[0]
    try:
        plans.check(plans.place(best.key), best)
    except PlanError:
        if gpu is None:
            raise
        return None  # it is built again, over the damaged one
    return best


def _line(chosen: str, reasons: list[str]) -> str:
    return f"{chosen}; not better: {'; '.join(reasons)}" if reasons else chosen
