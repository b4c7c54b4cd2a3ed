"""The command `credence-engines`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from engines.build import MAX_BATCH
from engines.build import build as build_plan
from engines.command import run
from engines.engine import BUNDLES, bundle_named, engine_manifest, open_engine
from engines.gpu import device_named
from engines.job import Precision
from engines.manifest import (
    BrokenBundleError,
    NetworkManifest,
    PolicyManifest,
    check_files,
    read_manifest,
)
from engines.plans import PlanError, place
from engines.samples import read as read_samples
from engines.targets import target_named
from engines.verify import verify as verify_engine

app = typer.Typer(
    help="Look at engines: the networks that judge face, voice and words, and their policy.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Bundle = Annotated[Path, typer.Argument(help="A bundle's folder, or the name of a shipped one.")]


def main() -> None:
    """Run the command; what a user can mend is one sentence on standard error and exit code 2."""
    sys.exit(run(app, "credence-engines"))


@app.command("list")
def list_(
    folder: Annotated[
        Path, typer.Argument(help="A folder of bundles.", show_default="the shipped ones")
    ] = BUNDLES,
) -> None:
    """List the bundles in a folder; the shipped ones by default."""
    if not folder.is_dir():
        raise BrokenBundleError(folder, "there is no such folder")
    table = Table("name", "kind", "hash", "parameters", "licence")
    for bundle in sorted(path.parent for path in folder.glob("*/engine.json")):
        try:
            manifest, digest = read_manifest(bundle)
        except BrokenBundleError as error:
            table.add_row(bundle.name, "", "", "", error.problem)
            continue
        size = f"{manifest.parameters:,}" if isinstance(manifest, NetworkManifest) else ""
        table.add_row(bundle.name, manifest.kind, digest, size, manifest.licence)
    if not table.rows:
        raise BrokenBundleError(folder, "there is no engine in this folder")
    Console().print(table)


@app.command()
def inspect(bundle: Bundle) -> None:
    """Print a bundle's manifest as JSON: labels, input, training, figures, licence."""
    manifest, digest = read_manifest(bundle_named(bundle))
    print(json.dumps({"hash": digest, **manifest.model_dump(mode="json")}, indent=2))


@app.command()
def verify(
    bundles: Annotated[
        list[Path] | None, typer.Argument(help="Bundles; all shipped ones by default.")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            parser=device_named,
            metavar="DEVICE",
            help="auto, cpu, cuda or cuda:N: also say what would run them there.",
        ),
    ] = None,
) -> None:
    """Check that bundles are whole, load here, and still compute what they computed at export."""
    for folder in [bundle_named(b) for b in bundles or []] or sorted(
        path.parent for path in BUNDLES.glob("*/engine.json")
    ):
        manifest, digest = read_manifest(folder)
        if isinstance(manifest, PolicyManifest):
            check_files(folder, manifest.files)
            print(f"{folder.name} {digest}: whole")
            continue
        result = verify_engine(open_engine(folder, manifest.kind))
        print(
            f"{folder.name} {digest}: whole, and within {result.largest_difference:.1e}"
            f" of its reference on {result.inputs} inputs"
        )
        if device:
            opened = open_engine(folder, manifest.kind, device, tell=_tell)
            print(f"{folder.name}: runs on {opened.choice}")


@app.command()
def build(
    bundle: Bundle,
    target: Annotated[
        str,
        typer.Option(help="tensorrt, tensorrt-rtx or cuda on a GPU, openvino or onnx on a CPU."),
    ],
    precision: Annotated[
        Precision | None, typer.Option(help="Of the network's body.", show_default="fp16 on a GPU")
    ] = None,
    max_batch: Annotated[
        int, typer.Option(min=1, max=1024, help="Rows at once; more are split.")
    ] = MAX_BATCH,
    data: Annotated[
        Path | None,
        typer.Option(
            help="A folder of your own inputs: face crops (.png, .jpg), speech (.wav, 16 kHz, mono,"
            " 16 bit) or sentences (.txt, one a line). int8 is calibrated on them."
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(parser=device_named, metavar="DEVICE", help="cuda:N: which GPU.")
    ] = "auto",
) -> None:
    """Build a bundle for this machine, and use it from now on if its verdicts are the same."""
    folder = bundle_named(bundle)
    manifest, digest = engine_manifest(folder)
    plan = build_plan(
        folder,
        digest,
        manifest,
        target,
        precision or target_named(target).precisions[0],
        device=device,
        max_batch=max_batch,
        data=read_samples(data, manifest.kind) if data else None,
        again=True,
        tell=_tell,
    )
    if plan.refused:
        raise PlanError(
            f"{folder.name} for {target} {plan.key.precision} is refused: {plan.refused}"
        )
    print(f"{folder.name} {digest}: {place(plan.key)}, {plan.parity}")


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr)


if __name__ == "__main__":
    main()
