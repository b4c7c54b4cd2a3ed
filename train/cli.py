"""The command `credence-train`."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from train.command import run as run_command

app = typer.Typer(
    help="Make engines: train, export, evaluate.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Data = Annotated[Path, typer.Option(help="The folder that holds the corpora or tables.")]
Output = Annotated[Path, typer.Option(help="The policy's folder; replaced if it is one.")]
Precision = Annotated[float, typer.Option(help="The share of trusted verdicts that is right.")]
Delta = Annotated[float, typer.Option(help="The chance that the promise may fail with.")]
_PACKAGES = {"torch", "onnx", "onnxscript", "tensorboard", "matplotlib", "openpyxl"}


def main() -> None:
    """Run the command; what a user can mend is one sentence on standard error and exit code 2."""
    sys.exit(run_command(app, "credence-train", "train", _PACKAGES))


@app.command()
def fit(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as train/recipes/voice.yaml.")],
    data: Data,
    run: Annotated[Path, typer.Option(help="The run's folder; an interrupted run continues.")],
    device: Annotated[str, typer.Option(help="cpu or cuda; by default what is there.")] = "",
    stop_after: Annotated[int | None, typer.Option(min=1, help="Stop at this epoch.")] = None,
    fold: Annotated[
        str,
        typer.Option(metavar="K/N", help="Hold out the K-th of N groups of people, of both parts."),
    ] = "",
) -> None:
    """Train a recipe's network in a run folder, or continue its training."""
    from train.fit import fit as train
    from train.multilabel.fit import fit as train_multilabel
    from train.multilabel.recipe import LdduRecipe
    from train.recipe import of_fold, read_any

    asked = of_fold(read_any(recipe), fold) if fold else read_any(recipe)
    if isinstance(asked, LdduRecipe):
        train_multilabel(asked, data, run, device=device, stop_after=stop_after)
    else:
        train(asked, data, run, device=device, stop_after=stop_after)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder; replaced if it is one.")],
) -> None:
    """Write a finished run's engine as a bundle."""
    from train.export import export as write
    from train.multilabel.export import export as write_multilabel
    from train.multilabel.recipe import LdduRecipe
    from train.run import recipe_of

    if isinstance(recipe_of(run), LdduRecipe):
        write_multilabel(run, bundle)
    else:
        write(run, bundle)


@app.command()
def evaluate(
    bundles: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="BUNDLE",
            help="Engines of different kinds, and their policy; shipped ones by name.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Samples: columns path or text, or face, voice and text for several engines;"
            " label; and, if need be, group (the person).",
        ),
    ] = None,
    recordings: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Or whole recordings, replayed: path, label, group."),
    ] = None,
    corrupt: Annotated[
        str | None, typer.Option(metavar="NAME:LEVEL", help="Spoil one modality, as in noise:10.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write pictures and the JSON there.")
    ] = None,
) -> None:
    """Print how good engines are on data, and how far to trust them."""
    from train.evaluate import EvaluationError
    from train.evaluate import evaluate as judge
    from train.recordings import evaluate_recordings

    if (data is None) == (recordings is None) or (recordings and corrupt):
        raise EvaluationError(
            "it is unclear what to judge", "give --data CSV [--corrupt], or --recordings CSV"
        )
    if report:
        from train.report import make_folder

        make_folder(report)
    if recordings is not None:
        result = evaluate_recordings(bundles or [], recordings)
    else:
        assert data is not None, "one of them is"
        result = judge(bundles or [], data, corrupt)
    _name_left_out(result.unreadable)
    summary = result.summary()
    if report:
        from train.report import write_report

        write_report(report, result.decisions, summary)
    if as_json:
        print(json.dumps(summary))
    else:
        _print(summary)


@app.command()
def policy(
    engines: Annotated[
        list[Path],
        typer.Argument(help="The folders of the engines, and of those trained in folds."),
    ],
    data: Data,
    output: Output,
    precision: Precision = 0.9,
    delta: Delta = 0.05,
) -> None:
    """Fit the policy of engines on the held-out people of their corpora, and certify it."""
    from train.policy import write_policy

    _print_found(write_policy(engines, data, output, target=precision, delta=delta).found)


@app.command()
def calibrate(
    bundles: Annotated[
        list[Path],
        typer.Argument(
            metavar="BUNDLE",
            help="Engines of different kinds, and their policy; shipped ones by name.",
        ),
    ],
    data: Annotated[
        Path, typer.Option(metavar="CSV", help="Your own samples, in a table as of `evaluate`.")
    ],
    output: Output = Path("policy"),
    precision: Precision = 0.9,
    delta: Delta = 0.05,
) -> None:
    """Certify thresholds on your own recordings, as a new policy of the same engines."""
    from train.site import calibrate as certify

    done = certify(bundles, data, output, target=precision, delta=delta)
    _name_left_out(done.unreadable)
    _print_found(done.found)


@app.command()
def make_table(
    corpus: Annotated[str, typer.Argument(help="ferplus, ravdess, emodb, goemotions or meld.")],
    data: Data,
    output: Annotated[Path, typer.Option(help="The CSV to write.")],
    part: Annotated[Literal["train", "valid"], typer.Option(help="Which people.")] = "valid",
) -> None:
    """Write a corpus as a table, as `evaluate` wants it."""
    from train.data import table

    table.write_corpus(corpus, data.resolve(), output, part)


@app.command()
def evaluate_words(
    truth: Annotated[
        Path, typer.Option(metavar="CSV", help="Columns name and openset: a list of true words.")
    ],
    predicted: Annotated[
        Path, typer.Option(metavar="CSV", help="The same, with the words to be judged.")
    ],
    groups: Annotated[
        Path | None,
        typer.Option(metavar="JSON", help="Groups of words that mean the same, by clip."),
    ] = None,
    wheels: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="A folder of emotion wheels: wheel*.xlsx, synonym.xlsx, format.csv."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print how far emotion words agree with those of people."""
    from train.open_vocabulary import compare

    result = compare(truth, predicted, groups, wheels)
    if as_json:
        print(json.dumps(result.summary()))
    else:
        for line in result.lines():
            print(line)


@app.command()
def label_texts(
    texts: Annotated[
        Path, typer.Option(metavar="CSV", help="Columns name and english: what is said of people.")
    ],
    output: Annotated[Path, typer.Option(help="The CSV to write, as evaluate-words wants it.")],
) -> None:
    """Write the emotion words that texts about people mean."""
    from train.mentions import label_texts as label

    label(texts, output)


@app.command()
def explain_report(
    clips: Annotated[Path, typer.Option(help="A folder of recordings.")],
    out: Annotated[Path, typer.Option(help="The folder of the page; it holds pictures of people.")],
    reasons: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="What people wrote: columns name and english."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of `credence replay`."),
    ] = None,
) -> None:
    """Write a page with the explanations of recordings beside their pictures."""
    from train.explain_report import write_report

    print(write_report(out, clips, reasons, settings or []))


def _print(summary: Mapping[str, Any]) -> None:
    for name, value in summary.items():
        if value is None or isinstance(value, int | float):
            low_high = summary["intervals"].get(name)
            interval = "  [{:.4g}, {:.4g}]".format(*low_high) if low_high else ""
            print(f"{name:20} {'-' if value is None else format(value, '.4g')}{interval}")


def _name_left_out(unreadable: Sequence[str]) -> None:
    for problem in unreadable:
        print(f"credence-train: left out: {problem}", file=sys.stderr)


def _print_found(found: Mapping[str, Any]) -> None:
    from train.certify import Certified

    for name, c in found.items():
        if isinstance(c, Certified):
            print(
                f"{name:16} trusted from {c.confidence:.3f}: {c.precision:.3f} of {c.n} right (they"
                f" count like {c.effective_n}), {c.coverage:.3f} of all trusted"
            )
        else:
            print(f"{name:16} uncertified: {c.reason}")


if __name__ == "__main__":
    main()
