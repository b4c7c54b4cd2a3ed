"""The command `credence-engines`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from engines.command import run
from engines.engine import BUNDLES, bundle_named, open_engine
from engines.manifest import (
    BrokenBundleError,
    EngineManifest,
    PolicyManifest,
    check_files,
    read_manifest,
)
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
        size = f"{manifest.parameters:,}" if isinstance(manifest, EngineManifest) else ""
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
        result = verify_engine(open_engine(folder))
        print(
            f"{folder.name} {digest}: whole, and within {result.largest_difference:.1e}"
            f" of its reference on {result.inputs} inputs"
        )


if __name__ == "__main__":
    main()
