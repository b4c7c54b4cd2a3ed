"""Model cards: what a bundle is, how good it is, and what it is not for."""

from collections.abc import Mapping
from textwrap import dedent

from engines.manifest import Modality, PolicyManifest
from engines.preprocess import VERSIONS
from train.certify import Certified, Uncertified
from train.recipe import Recipe, TextRecipe
from train.results import Results

_SEES = {
    "face": "one face, cut out and aligned, 48x48 pixels, grey",
    "voice": "three seconds of one person's speech, as 64 log-mel bands every 10 ms",
    "text": "up to 48 words of English, as hashed words, pairs and letter n-grams",
}
_IS = {
    "face": "A residual network",
    "voice": "A residual network",
    "text": "Residual convolutions over words beside a bag of them,",
}
_PEOPLE = """\
Seven classes. The last epoch is exported: no epoch was chosen on these people."""
_CHOSEN = {
    "face": _PEOPLE,
    "voice": _PEOPLE,
    "text": """\
Seven classes. The recipe, with its number of epochs, was chosen on these parts, which flatters
the figures a little.""",
}
_APART = {
    "face": "Training and validation share no person, as far as the data name people.",
    "voice": "Training and validation share no person, as far as the data name people.",
    "text": """\
Training and validation are the corpora's own parts: other comments, other dialogues; short
sentences such as thanks occur in both.""",
}

_HEADS = {
    "calibrated": """\
Head `calibrated` (ours), temperature {heat:.3f}: 1 - u is the calibrated chance that the decision
on one segment is right, less where the input is unlike what was trained on.""",
    "edl": """\
Head `edl` (Sensoy et al. 2018), its evidence divided by {heat:.3f} (ours), so that 1 - u is about
as often right as it says.""",
}
_TRUST = """\
How well 1 - u tells right from wrong, beside the highest probability of the same network's softmax
with a temperature. The head was fitted on these {n:,} samples; the figures are cross-fitted: heads
that were fitted on four fifths of the people judged the others. Error AUROC: higher is better; ECE
(15 bins), AURC and NLL (of the projected probability): lower is better."""

_FERPLUS = ("FER2013 names nobody: one person may have pictures in both parts.",)

_TAUGHT = """
It learned from what a teacher hears in the training parts and in texts made up of their words:
all-MiniLM-L6-v2 (Apache-2.0), fine-tuned on the same parts by `python -m train.distil`."""

USE = """\
## Intended use
Research, and trials with people who know of them and agree. It judges what is *expressed*, not
what is felt; an event is a hint for a human, with its uncertainty beside it.

## Prohibited use
No decision about a person rests on it: not on work, schooling, insurance, credit, policing or
medicine. Not for inferring emotions at workplaces or in education, which the EU AI Act prohibits
(Article 5). Not for watching people who do not know.

## Limits
{limits}
All calibration is for people like the validation people of the same corpora. The confidence of a
verdict is what the policy makes of the fused opinion.
"""
"""Of every card; `limits` is its own paragraph on them."""
_PROMISE = """\
`paired` samples are real moments. `label-matched` ones pair samples of different people and corpora
by their label, which is synthetic (ours): what one modality shows tells nothing of the other beyond
the label. Half of the samples that a shipped threshold was certified on are clean; the others are
corrupted, or of a swapped modality. Nothing is promised for people, places and languages unlike
them: `credence-train calibrate` certifies thresholds on your own recordings."""
_ACTED = """\
People, languages, cameras and rooms unlike those in the data are judged worse than the figures
say, and nothing here measures how much worse. Acted emotion is stronger than the emotion of
everyday life."""
_LIMITS = {
    "face": _ACTED,
    "voice": _ACTED,
    "text": """\
The data are written comments in English and the script of one television series. Speech unlike
it, other dialects and topics, and irony that needs context are judged worse than the figures say,
and nothing here measures how much worse; of other languages it knows nothing.""",
}


def engine_card(recipe: Recipe, results: Results, sources: tuple[str, ...], parameters: int) -> str:
    """Return the card of an engine, in Markdown."""
    head = f"""\
        # {recipe.name}

        Sees {_SEES[recipe.kind]}, and gives evidence for anger, disgust,
        fear, happiness, neutral, sadness and surprise. {_IS[recipe.kind]} of {parameters:,}
        parameters, preprocessing `{VERSIONS[recipe.kind]}`.

        ## Licence
        {recipe.licence}. The code that made it is Apache-2.0.

        ## Data
        """
    return "\n".join(
        [
            dedent(head) + "\n".join(f"- {source}" for source in sources),
            "",
            _APART[recipe.kind],
            *(_FERPLUS if "ferplus" in recipe.data else ()),
            *((_TAUGHT,) if isinstance(recipe, TextRecipe) and recipe.lesson else ()),
            "",
            "## Figures on validation data, never trained on",
            _figures(results),
            "",
            _CHOSEN[recipe.kind],
            "",
            "## Trust, measured on the same data",
            _trust(results),
            "",
            _HEADS[recipe.head.kind].format(heat=results.temperature),
            _TRUST.format(n=results.n),
            "",
            f"`docs/training.md` has the commands. Recipe and seed {recipe.seed} stand in"
            " `engine.json`.",
            "",
            USE.format(limits=_LIMITS[recipe.kind]),
        ]
    )


def policy_card(manifest: PolicyManifest, found: Mapping[str, Certified | Uncertified]) -> str:
    """Return the card of a policy, in Markdown; ``found`` is by modalities, as thresholds are."""
    engines = [
        f"| {kind} | `{engine}` | {manifest.reliability[kind]:g} |"
        f" {', '.join(manifest.quality.get(kind, {})) or 'none'} |"
        for kind, engine in manifest.engines.items()
    ]
    head = f"""\
        # {manifest.name}

        How the opinions of the engines below become one verdict: discount by reliability and by
        quality, discount by conflict, then the rule `{manifest.rule}`; a monotone curve makes a
        confidence of the highest projected probability (ours; `docs/training.md` says how all of
        it is fitted, on people that no engine was trained on).

        | Modality | Engine | Reliability | Trusted less as these measures fall |
        | --- | --- | --- | --- |
        """
    return "\n".join(
        [
            dedent(head) + "\n".join(engines),
            "",
            "## Certified thresholds",
            *_certificates(manifest, found),
            "",
            "## Licence",
            manifest.licence,
            "",
            USE.format(limits=_ACTED),
        ]
    )


def _certificates(
    manifest: PolicyManifest, found: Mapping[str, Certified | Uncertified]
) -> list[str]:
    rows = [
        "| Modalities | Trusted from | Precision promised | Trusted samples | which count like |"
        " right of them | share trusted | Basis |",
        "| --- |" + " --- |" * 7,
    ]
    for name, c in found.items():
        held = manifest.thresholds.get(name)
        if isinstance(c, Certified) and held:
            rows.append(
                f"| {name} | {c.confidence:.3f} | {c.target:g}, with probability {1 - c.delta:g} |"
                f" {c.n:,} | {c.effective_n:,} | {c.precision:.3f} | {c.coverage:.3f} |"
                f" {held.basis} |"
            )
    others = [f"- {name}: {c.reason}." for name, c in found.items() if isinstance(c, Uncertified)]
    kept = [
        f"- {name}: as before, from {held.confidence:.3f}."
        for name, held in manifest.thresholds.items()
        if held and name not in found
    ]
    return [
        *rows,
        "",
        *(
            ["Not certified, so that such verdicts are never trusted:", "", *others]
            if others
            else []
        ),
        *(["Kept from the policy that this one was made of:", "", *kept] if kept else []),
        "",
        _PROMISE,
    ]


def licence_of(licences: Mapping[Modality, str]) -> str:
    """Return the licence of what is made from engines with these licences."""
    return "; ".join(f"{kind}: {licence}" for kind, licence in licences.items())


def _figures(results: Results) -> str:
    """Return a table of the decisions."""
    rows = ["| Part | n | Accuracy | UAR | Macro F1 | Weighted F1 |", "| --- |" + " --- |" * 5]
    for name, v in results.metrics.items():
        figures = (v["accuracy"], v["uar"], v["macro_f1"], v["weighted_f1"])
        rows.append(f"| {name} | {v['n']:.0f} | {' | '.join(map(_figure, figures))} |")
    return "\n".join(rows)


def _trust(results: Results) -> str:
    """Return a table of each figure of trust, the head's and softmax's."""
    names = ("error_auroc", "aurc", "ece", "nll")
    rows = [
        "| Part | Error AUROC / softmax | AURC / softmax | ECE / softmax | NLL / softmax |",
        "| --- |" + " --- |" * len(names),
    ]
    for part, v in results.metrics.items():
        pairs = (f"{_figure(v[name])} / {_figure(v[f'softmax_{name}'])}" for name in names)
        rows.append(f"| {part} | {' | '.join(pairs)} |")
    rows += [
        f"\nOn `{part}`, u rises with the disagreement of the raters: Spearman's"
        f" {_figure(v['rater_entropy_correlation'])} with the entropy of their votes."
        for part, v in results.metrics.items()
        if "rater_entropy_correlation" in v
    ]
    return "\n".join(rows)


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
