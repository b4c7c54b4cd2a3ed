"""The card of a multilabel engine: what it is, how good it is, and what it is not for."""

from textwrap import dedent

from engines.manifest import MultilabelManifest
from train.card import USE

_FIGURES = ("accuracy", "micro_precision", "micro_recall", "micro_f1", "macro_f1", "hamming")
_LIMITS = """\
Its training moments are **synthetic**: a face, a voice and a text of different people, from
different corpora, were paired because they show the same emotions; so are those of the figures,
half of which are clean, and in half of which samples are corrupted, absent or swapped. So it knows
nothing of how the three go together in one person, and no figure here is of real moments. Labels of
several emotions are as the corpora have them: two votes of ten raters for a face, an acted emotion
of normal intensity counting as neutral too for a voice, several labels of a comment for a text. It
knows the encoders above, and is refused with others. No certificate covers it: `trusted` in an
event is of the verdict, never of these emotions. A spread only ranks: it has no unit, and depends
on this network. English only, as far as words go; people, languages, cameras and rooms unlike those
in the data are judged worse than the figures say."""


def card(manifest: MultilabelManifest) -> str:
    """Return the card, in Markdown."""
    head = f"""\
        # {manifest.name}

        **Experimental.** Sees what the encoders of face, voice and text made of a window, as
        sequences, and gives for each of seven emotions its probability and how widely its latent
        distribution is spread; several may be shown at once. LDDU (arXiv 2502.13954, our code and
        our changes: `docs/multilabel.md`), {manifest.parameters:,} parameters, preprocessing
        `{manifest.preprocessing}`. TER's verdict stays the trusted one.

        ## Licence
        {manifest.licence}. The code that made it is Apache-2.0.

        ## Data
        """
    encoders = (
        f"- {kind}: engine `{found}`, at most {manifest.parts[kind].length} rows"
        for kind, found in manifest.engines.items()
    )
    thresholds = (
        f"| {label} | {threshold:.2f} |"
        for label, threshold in zip(manifest.labels, manifest.thresholds, strict=True)
    )
    return "\n".join(
        [
            dedent(head) + "\n".join(f"- {source}" for source in manifest.training.data),
            "",
            "Encoders whose sequences it was trained on:",
            "",
            *encoders,
            "",
            "## Figures",
            *_table(manifest),
            "",
            "Epoch and thresholds were chosen on `valid`, nothing on `test`; no actor, picture or"
            " comment is in two parts. Accuracy is the Jaccard index of sets.",
            "",
            "| Emotion | Shown from probability |",
            "| --- | --- |",
            *thresholds,
            "",
            f"`docs/multilabel.md` has the commands. Recipe and seed"
            f" {manifest.training.recipe['seed']} stand in `engine.json`.",
            "",
            USE.format(limits=_LIMITS),
        ]
    )


def _table(manifest: MultilabelManifest) -> list[str]:
    names = (name.replace("_", " ").capitalize() for name in _FIGURES)
    rows = [f"| Part | n | {' | '.join(names)} |", "| --- |" + " --- |" * (len(_FIGURES) + 1)]
    for part, values in manifest.training.metrics.items():
        figures = (f"{values[name]:.3f}" for name in _FIGURES)
        rows.append(f"| {part} | {values['n']:.0f} | {' | '.join(figures)} |")
    return rows
