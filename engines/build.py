"""Bundle → plan: a network built for one machine, and used only if it says the same."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from engines import plans
from engines.errors import CredenceError
from engines.gpu import Gpu
from engines.job import Job, Precision, UnsupportedError
from engines.manifest import BUNDLES, MODEL, MultilabelManifest, NetworkManifest
from engines.parity import Parity, compare, inputs_for, reference_of
from engines.plans import Key, Plan, PlanError
from engines.precision import NoDataError, enough
from engines.runtime import Batch, Runtime
from engines.runtime.guarded import first_line
from engines.runtime.onnx import OnnxCpu
from engines.targets import Target, gpu_for, machine, target_named
from engines.verdict import UNCERTIFIED, Policy, PolicyMismatchError, open_policy

Tell = Callable[[str], None]
"""Told in a sentence how far it has come."""

MAX_BATCH = 32


def key_of(
    bundle: str,
    manifest: NetworkManifest,
    target: Target,
    precision: Precision,
    *,
    max_batch: int,
    gpu: Gpu | None,
    data: Batch | None = None,
) -> Key:
    """Return the key of a plan; raise a CredenceError where a package is absent."""
    return Key(
        bundle=bundle,
        kind=manifest.kind,
        target=target.name,
        precision=precision,
        max_batch=max_batch,
        machine=machine(gpu),
        driver=gpu.driver if gpu else "",
        versions=target.versions(),
        policy=policy_of(manifest, bundle).hash,
        data="" if data is None else hashlib.sha256(data.tobytes()).hexdigest(),
        rewriter=target.rewriter(precision),
    )


def build(
    folder: Path,
    bundle: str,
    manifest: NetworkManifest,
    target: str,
    precision: Precision = "fp32",
    *,
    device: str = "auto",
    max_batch: int = MAX_BATCH,
    data: Batch | None = None,
    again: bool = False,
    tell: Tell = lambda _: None,
) -> Plan:
    """Build the bundle (of hash ``bundle``) in ``folder`` for a target, or take it from the cache.

    The plan may be ``refused``: that is remembered, and tried anew only if ``again``. Raises a
    CredenceError where it cannot be built now: no GPU, no package, no data, no room.
    """
    chosen = target_named(target, precision)
    gpu = gpu_for(chosen, device)
    if precision == "int8":
        if manifest.kind == "multilabel":
            raise NoDataError(
                "int8 is calibrated on inputs, and no files hold a multilabel engine's;"
                " build it in another precision"
            )
        enough(data)
    key = key_of(bundle, manifest, chosen, precision, max_batch=max_batch, gpu=gpu, data=data)
    what = f"{manifest.kind} engine for {target} {precision}"
    with plans.locked(key, lambda: tell(f"waiting: another process builds the {what}")):
        if (found := _found(key)) and not (found.refused and again):
            return found
        with plans.making(key) as made:
            tell(f"building the {what}; this is done once")
            shape, given = manifest.input.shape, manifest.given
            job = Job(folder, shape, precision, max_batch, gpu, made, data, given)
            return plans.put(made, _made(chosen, job, key, manifest, tell))


def load(folder: Path, manifest: NetworkManifest, plan: Plan, gpu: Gpu | None) -> Runtime:
    """Load a usable plan of the bundle in ``folder``; raise PlanError where that fails."""
    key = plan.key
    at = plans.place(key)
    shape, given = manifest.input.shape, manifest.given
    job = Job(folder, shape, key.precision, key.max_batch, gpu, at, given=given)
    target = target_named(key.target, key.precision)
    return _loaded(target, job)


def _found(key: Key) -> Plan | None:
    try:
        return plans.read(plans.place(key))
    except PlanError:  # it is built again, over the damaged one
        return None


def _made(target: Target, job: Job, key: Key, manifest: NetworkManifest, tell: Tell) -> Plan:
    """Make the plan's files, run them, compare."""
    try:
        target.backend().make(job)
        fast = _loaded(target, job)
    except UnsupportedError as error:
        return Plan(key=key, refused=str(error))
    except CredenceError:
        raise
    except Exception as error:  # every library raises its own family
        raise PlanError(
            f"the {manifest.kind} engine cannot be built for {target.name}: {first_line(error)}"
        ) from error
    tell(f"comparing {fast.name} with ONNX Runtime")
    parity = _compared(fast, job, manifest, policy_of(manifest, key.bundle))
    return Plan(key=key, parity=parity, refused=parity.refusal)


def _compared(fast: Runtime, job: Job, manifest: NetworkManifest, policy: Policy) -> Parity:
    portable = OnnxCpu(job.bundle / MODEL, job.shape, job.given)
    inputs = inputs_for(reference_of(job.bundle).inputs, job.calibration, manifest.parts)
    most = job.max_batch
    try:
        return compare(
            fast, portable, inputs, job.precision, manifest=manifest, policy=policy, most=most
        )
    except Exception as error:  # as above
        raise PlanError(f"{fast.name} does not run: {first_line(error)}") from error


def _loaded(target: Target, job: Job) -> Runtime:
    try:
        return target.backend().load(replace(job, calibration=None))
    except CredenceError:
        raise
    except Exception as error:  # as above
        raise PlanError(f"{target.name} does not load: {first_line(error)}") from error


def policy_of(manifest: NetworkManifest, bundle: str) -> Policy:
    """Return the shipped policy if it was fitted with this engine, else one without thresholds."""
    if isinstance(manifest, MultilabelManifest):
        return UNCERTIFIED
    try:
        return open_policy(BUNDLES / "policy", {manifest.kind: bundle})
    except PolicyMismatchError:
        return UNCERTIFIED
